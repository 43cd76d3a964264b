/* SPDX-License-Identifier: MIT */
/*
 * list - a circular doubly linked list with its head and links embedded.
 *
 *   I1  a head that was initialised, or is all zero bytes, is an empty list
 *       (zeroed memory must be valid for user-embedded objects).
 *   I2  a link that is in no list has next == NULL after list_del.
 * Nothing here locks; the owner of the list does.
 */
#ifndef RGK_BASE_LIST_H
#define RGK_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define container_of(pointer, type, member)                                    \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define list_for_each(it, head)                                                \
	for (struct list *it = (head)->next; it && it != (head); it = it->next)

/* The same when `it` may be removed inside the loop. */
#define list_for_each_safe(it, after, head)                                    \
	for (struct list *it = (head)->next, *after = it ? it->next : NULL;    \
	     it && it != (head); it = after, after = after->next)

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return !head->next || head->next == head;
}

static inline bool list_is_linked(const struct list *link)
{
	return link->next != NULL;
}

static inline void list_insert_before(struct list *at, struct list *link)
{
	link->next = at;
	link->prev = at->prev;
	at->prev->next = link;
	at->prev = link;
}

static inline void list_push_back(struct list *head, struct list *link)
{
	if (!head->next)
		list_init(head);
	list_insert_before(head, link);
}

static inline void list_push_front(struct list *head, struct list *link)
{
	if (!head->next)
		list_init(head);
	list_insert_before(head->next, link);
}

static inline void list_del(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = NULL;
	link->prev = NULL;
}

static inline struct list *list_pop_front(struct list *head)
{
	struct list *first = head->next;

	if (list_is_empty(head))
		return NULL;
	list_del(first);
	return first;
}

#endif
