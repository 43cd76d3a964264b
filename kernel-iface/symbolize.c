// SPDX-License-Identifier: MIT
/*
 * symbolize - the ELF files of the process, their symbols and lines.
 *
 * symbolize_open reads the list of mappings and keeps the executable ones. The
 * first question about a file maps it (and its separate debug file, if it lacks
 * something and /usr/lib/debug has one of the same build id), sorts its function
 * symbols and indexes its lines; then a question is a few binary searches, or
 * one probe of a small cache, as dumps repeat the same program counters.
 *
 *   I1  no malloc, no lock, no stdio, no dynamic linker: everything lives in the
 *       symbolizer's own mapping, in mappings of files and in index mappings.
 *   I2  no byte of a file is believed: each access is checked against its
 *       length, structures are copied out, strings end inside their table.
 *   I3  strings handed out stay until symbolize_close: they lie in mapped files
 *       or in `pool`, which only grows.
 *   I4  segment[] is sorted by address and does not overlap (the kernel's list
 *       is and does not).
 *   I5  symbol[] is sorted by address, one entry an address, the best one.
 *
 * Called by dumps, panics and the handler of a crash; one thread at a time.
 *
 * A file that another process truncates while it is mapped raises SIGBUS, as it
 * does for the program that runs from it. Compressed debug sections count as
 * absent: an inflater does not belong into a crash handler.
 *
 * Rejected: dladdr and dl_iterate_phdr (the loader's lock, and no static
 * functions); _dl_find_object (glibc >= 2.35 only, and names no file); comparing
 * device and inode of file and mapping (they differ on overlayfs and btrfs; a
 * replaced file shows as "(deleted)" and cannot be opened by that name anyway).
 *
 * Sources: System V ABI (ELF), proc(5).
 */
#include "kernel-iface/symbolize.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_SEGMENTS   512
#define N_OBJECTS    256
#define N_CACHE      256 /* powers of two */
#define N_PATHS      512
#define POOL_SIZE    (1U << 20)
#define MAPS_BUFFER  8192 /* more than PATH_MAX and the numbers before it */
#define BUILD_ID_MAX 32

/* Symbols looked at before the nearest one, for one that covers the address:
 * labels inside functions written in assembly. */
#define NESTED_MAX 32

/* ---- one ELF image: headers ---------------------------------------------- */

/* The two numbers the index is sorted by come first (dwarfline_sort). */
struct symbolize_symbol {
	uint64_t addr;
	uint64_t order; /* among equals the smallest is the best */
	uint64_t end;   /* of its section when the symbol has no size */
	uint32_t name;  /* offset in names */
	uint32_t is_sized;
};

static bool copy(const struct symbolize_image *im, uint64_t offset, void *out,
		 size_t size)
{
	if (offset > im->len || size > im->len - offset)
		return false;
	memcpy(out, im->base + offset, size);
	return true;
}

static bool read_section(const struct symbolize_image *im, uint64_t i,
			 Elf64_Shdr *out)
{
	return i < im->n_sections &&
	       copy(im, im->sections + i * sizeof(*out), out, sizeof(*out));
}

static bool read_segment(const struct symbolize_image *im, size_t i,
			 Elf64_Phdr *out)
{
	return copy(im, im->segments + i * sizeof(*out), out, sizeof(*out));
}

/* Empty when the file holds no such bytes, or holds them compressed. */
static struct dwarfline_span section_bytes(const struct symbolize_image *im,
					   const Elf64_Shdr *sh)
{
	struct dwarfline_span none = {NULL, 0};

	if (sh->sh_type == SHT_NOBITS || (sh->sh_flags & SHF_COMPRESSED) ||
	    sh->sh_offset > im->len || sh->sh_size > im->len - sh->sh_offset)
		return none;
	return (struct dwarfline_span){im->base + sh->sh_offset, sh->sh_size};
}

static bool name_is(const struct dwarfline_span *names, uint64_t offset,
		    const char *name)
{
	size_t n = strlen(name) + 1;

	return offset < names->len && n <= names->len - offset &&
	       memcmp(names->p + offset, name, n) == 0;
}

/* Checks the file's header and finds its tables; *names_at is the section of
 * section names. Headers of an unknown size count as no headers. */
static bool read_header(struct symbolize_image *im, uint64_t *names_at)
{
	Elf64_Ehdr eh;
	Elf64_Shdr first;
	uint64_t n;

	if (!copy(im, 0, &eh, sizeof(eh)) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN))
		return false;
	if (eh.e_phentsize == sizeof(Elf64_Phdr) && eh.e_phoff < im->len) {
		im->segments = eh.e_phoff;
		im->n_segments = eh.e_phnum;
	}
	*names_at = eh.e_shstrndx;
	if (eh.e_shentsize != sizeof(Elf64_Shdr) || eh.e_shoff >= im->len)
		return true;
	im->sections = eh.e_shoff;
	im->n_sections = (im->len - im->sections) / sizeof(first);
	if (!read_section(im, 0, &first))
		return true;
	/* Numbers beyond 16 bits are kept in section 0. */
	n = eh.e_shnum ? eh.e_shnum : first.sh_size;
	if (n < im->n_sections)
		im->n_sections = n;
	if (eh.e_shstrndx == SHN_XINDEX)
		*names_at = first.sh_link;
	return true;
}

/* What one pass over the sections finds. */
struct found {
	Elf64_Shdr symtab, dynsym; /* sh_type SHT_NULL: absent */
	struct dwarfline_sections dwarf;
};

static struct dwarfline_span note_desc(const struct dwarfline_span *note)
{
	struct dwarfline_span none = {NULL, 0};
	Elf64_Nhdr nh;

	if (note->len < sizeof(nh) + 4)
		return none;
	memcpy(&nh, note->p, sizeof(nh));
	if (nh.n_type != NT_GNU_BUILD_ID || nh.n_namesz != 4 ||
	    memcmp(note->p + sizeof(nh), "GNU", 4) != 0 ||
	    nh.n_descsz > note->len - sizeof(nh) - 4)
		return none;
	return (struct dwarfline_span){note->p + sizeof(nh) + 4, nh.n_descsz};
}

static void note_section(struct symbolize_image *im, const Elf64_Shdr *sh,
			 const struct dwarfline_span *names, struct found *f)
{
	struct dwarfline_span bytes = section_bytes(im, sh);
	struct dwarfline_sections *dw = &f->dwarf;

	if ((sh->sh_flags & SHF_EXECINSTR) && sh->sh_size &&
	    sh->sh_addr + sh->sh_size > sh->sh_addr) {
		if (sh->sh_addr < dw->text_lo)
			dw->text_lo = sh->sh_addr;
		if (sh->sh_addr + sh->sh_size > dw->text_hi)
			dw->text_hi = sh->sh_addr + sh->sh_size;
	}
	if (!bytes.len)
		return;
	if (sh->sh_type == SHT_SYMTAB)
		f->symtab = *sh;
	else if (sh->sh_type == SHT_DYNSYM)
		f->dynsym = *sh;
	else if (name_is(names, sh->sh_name, ".debug_line"))
		dw->line = bytes;
	else if (name_is(names, sh->sh_name, ".debug_line_str"))
		dw->line_str = bytes;
	else if (name_is(names, sh->sh_name, ".debug_str"))
		dw->str = bytes;
	else if (name_is(names, sh->sh_name, ".note.gnu.build-id"))
		im->build_id = note_desc(&bytes);
}

/* ---- one ELF image: functions -------------------------------------------- */

/* Fills *out from a symbol that names code; false for any other. */
static bool read_symbol(const struct symbolize_image *im, const Elf64_Sym *sym,
			struct symbolize_symbol *out)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info), rank;
	const uint8_t *name;
	Elf64_Shdr sh;

	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	if (sym->st_shndx == SHN_UNDEF || sym->st_name >= im->names.len ||
	    !read_section(im, sym->st_shndx, &sh) ||
	    !(sh.sh_flags & SHF_EXECINSTR))
		return false;
	name = im->names.p + sym->st_name;
	if (!*name || *name == '$') /* aarch64 marks data in text by "$d" */
		return false;

	/* Sized, typed, visible, and of several names the public one. */
	rank = sym->st_size ? 0 : 8;
	rank += type == STT_NOTYPE ? 4 : 0;
	rank += ELF64_ST_BIND(sym->st_info) == STB_LOCAL ? 2 : 0;
	rank += *name == '_' ? 1 : 0;
	out->addr = sym->st_value;
	out->order = (uint64_t)rank << 40; /* plus its index: no two equal */
	out->end = sym->st_size ? sym->st_value + sym->st_size
				: sh.sh_addr + sh.sh_size;
	out->name = sym->st_name;
	out->is_sized = sym->st_size != 0;
	return out->end > out->addr;
}

/* I5: keeps the first, which is the best, of each address. */
static void drop_aliases(struct symbolize_image *im)
{
	struct symbolize_symbol *v = im->symbols;
	size_t i, n = 0;

	for (i = 0; i < im->n_symbols; i++)
		if (n == 0 || v[n - 1].addr != v[i].addr)
			v[n++] = v[i];
	im->n_symbols = n;
}

static void index_symbols(struct symbolize_image *im, const Elf64_Shdr *table)
{
	struct dwarfline_span bytes = section_bytes(im, table);
	size_t n = bytes.len / sizeof(Elf64_Sym), i;
	Elf64_Shdr strings;
	Elf64_Sym sym;

	if (!n || !read_section(im, table->sh_link, &strings) ||
	    strings.sh_type != SHT_STRTAB)
		return;
	im->names = section_bytes(im, &strings);
	im->map_len = n * sizeof(*im->symbols);
	im->symbols = dwarfline_pages(im->map_len);
	if (!im->symbols)
		return;
	for (i = 0; i < n; i++) {
		memcpy(&sym, bytes.p + i * sizeof(sym), sizeof(sym));
		if (!read_symbol(im, &sym, &im->symbols[im->n_symbols]))
			continue;
		im->symbols[im->n_symbols++].order += i;
	}
	dwarfline_sort(im->symbols, im->n_symbols, sizeof(*im->symbols));
	drop_aliases(im);
}

static void drop_symbols(struct symbolize_image *im)
{
	if (im->symbols)
		munmap(im->symbols, im->map_len);
	im->symbols = NULL;
	im->n_symbols = 0;
}

/* The sized symbol around addr, else the nearest label before it that is not
 * inside a function which ends before addr; NULL: none. `at` is the number of
 * symbols that begin at or before addr. */
static const struct symbolize_symbol *
choose_symbol(const struct symbolize_image *im, size_t at, uint64_t addr)
{
	const struct symbolize_symbol *e, *label = NULL;
	bool is_past_function = false;
	size_t tries;

	for (tries = 0; at > 0 && tries < NESTED_MAX; tries++) {
		e = &im->symbols[--at];
		if (e->is_sized && addr < e->end)
			return e;
		if (e->is_sized) {
			is_past_function = true;
			if (label && label->addr < e->end)
				label = NULL;
		} else if (!label && !is_past_function && addr < e->end) {
			label = e;
		}
	}
	return label;
}

/* Names are checked to end inside the table only when handed out (I2). */
bool symbolize_image_function(const struct symbolize_image *im, uint64_t addr,
			      struct sym_frame *out)
{
	const struct symbolize_symbol *e;
	size_t lo = 0, hi = im->n_symbols, mid;
	const uint8_t *name;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (im->symbols[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	e = choose_symbol(im, lo, addr);
	if (!e)
		return false;
	name = im->names.p + e->name;
	if (!memchr(name, 0, im->names.len - e->name))
		return false;
	out->function = (const char *)name;
	out->function_offset = addr - e->addr;
	return true;
}

bool symbolize_image_open(struct symbolize_image *im, const void *base,
			  size_t len)
{
	struct found f = {.dwarf = {.text_lo = UINT64_MAX}};
	struct dwarfline_span names = {NULL, 0};
	uint64_t names_at = 0;
	Elf64_Shdr sh;
	size_t i;

	*im = (struct symbolize_image){.base = base, .len = len};
	if (!read_header(im, &names_at)) {
		*im = (struct symbolize_image){0};
		return false;
	}
	if (read_section(im, names_at, &sh))
		names = section_bytes(im, &sh);
	for (i = 0; i < im->n_sections; i++)
		if (read_section(im, i, &sh))
			note_section(im, &sh, &names, &f);
	if (f.symtab.sh_type == SHT_SYMTAB)
		index_symbols(im, &f.symtab);
	im->has_symtab = im->n_symbols > 0;
	if (!im->has_symtab && f.dynsym.sh_type == SHT_DYNSYM) {
		drop_symbols(im);
		index_symbols(im, &f.dynsym);
	}
	dwarfline_build(&im->lines, &f.dwarf);
	return true;
}

void symbolize_image_close(struct symbolize_image *im)
{
	drop_symbols(im);
	dwarfline_drop(&im->lines);
	*im = (struct symbolize_image){0};
}

/* ---- the files of the process -------------------------------------------- */

enum object_state { OBJECT_NEW, OBJECT_READ, OBJECT_UNREADABLE };

struct object {
	const char *path; /* in pool */
	enum object_state state;
	bool is_exe;
	bool is_vdso;                 /* the image lies in memory */
	struct symbolize_image image; /* maps the file unless is_vdso */
	struct symbolize_image debug; /* zeroed: none */
};

/* One executable mapping of a file. */
struct segment {
	uintptr_t start, end;
	uint64_t offset; /* of start in the file */
	struct object *object;
	uint64_t bias; /* address less link-time address, when has_bias */
	bool is_tried, has_bias;
};

struct cached {
	uintptr_t addr;
	struct sym_frame frame; /* object NULL: empty */
};

struct interned {
	const struct dwarfline *lines; /* NULL: empty */
	uint64_t unit;
	uint32_t file;
	const char *path; /* in pool */
};

static_assert(sizeof(struct symbolize_symbol) == 32, "a symbol's cost");
static_assert((N_CACHE & (N_CACHE - 1)) == 0 && (N_PATHS & (N_PATHS - 1)) == 0,
	      "hash masks");

/* Mapped zeroed; pages it does not touch cost nothing. */
struct symbolizer {
	size_t n_segments, n_objects, pool_len;
	struct segment segment[N_SEGMENTS];
	struct object object[N_OBJECTS];
	struct cached cache[N_CACHE];
	struct interned paths[N_PATHS];
	char buffer[MAPS_BUFFER];
	char pool[POOL_SIZE];
};

/* Maps a regular file; stat comes first because opening a device or a pipe can
 * have effects of its own. */
static bool map_file(const char *path, struct symbolize_image *im)
{
	struct stat st;
	void *p = MAP_FAILED;
	int fd;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
			 0);
	close(fd);
	if (p == MAP_FAILED)
		return false;
	if (symbolize_image_open(im, p, (size_t)st.st_size))
		return true;
	munmap(p, (size_t)st.st_size);
	return false;
}

static void unmap_file(struct symbolize_image *im)
{
	void *p = (void *)(uintptr_t)im->base;
	size_t len = im->len;

	symbolize_image_close(im);
	if (p)
		munmap(p, len);
}

static void debug_path(const struct dwarfline_span *id, char *out)
{
	static const char root[] = "/usr/lib/debug/.build-id/";
	static const char hex[] = "0123456789abcdef";
	char *p = out + sizeof(root) - 1;
	size_t i;

	memcpy(out, root, sizeof(root));
	for (i = 0; i < id->len; i++) {
		*p++ = hex[id->p[i] >> 4];
		*p++ = hex[id->p[i] & 15];
		if (i == 0)
			*p++ = '/';
	}
	memcpy(p, ".debug", sizeof(".debug"));
}

/* Looks for a separate debug file when the file itself lacks something. */
static void open_debug(struct object *o)
{
	const struct dwarfline_span *id = &o->image.build_id;
	char path[64 + 2 * BUILD_ID_MAX];

	if (o->image.has_symtab && o->image.lines.n_seqs)
		return;
	if (id->len < 2 || id->len > BUILD_ID_MAX)
		return;
	debug_path(id, path);
	if (!map_file(path, &o->debug))
		return;
	if (o->debug.build_id.len != id->len ||
	    memcmp(o->debug.build_id.p, id->p, id->len) != 0)
		unmap_file(&o->debug);
}

static void open_object(struct object *o, const struct segment *seg)
{
	bool ok;

	if (o->is_vdso)
		ok = symbolize_image_open(&o->image, (const void *)seg->start,
					  seg->end - seg->start);
	else if (o->is_exe) /* right even when deleted or out of reach */
		ok = map_file("/proc/self/exe", &o->image) ||
		     map_file(o->path, &o->image);
	else
		ok = map_file(o->path, &o->image);
	o->state = ok ? OBJECT_READ : OBJECT_UNREADABLE;
	if (ok)
		open_debug(o);
}

/* Finds the PT_LOAD a mapping was made from: the one that begins on the same
 * page of the file, else one that covers the mapping's offset (part of it was
 * remapped). */
static void find_bias(struct segment *seg)
{
	const struct symbolize_image *im = &seg->object->image;
	uint64_t page = getauxval(AT_PAGESZ), at;
	Elf64_Phdr ph;
	size_t i;

	for (i = 0; i < im->n_segments && read_segment(im, i, &ph); i++) {
		if (ph.p_type != PT_LOAD || !(ph.p_flags & PF_X))
			continue;
		at = ph.p_offset & -page;
		if (at != seg->offset &&
		    (seg->offset < at || seg->offset - at >= ph.p_filesz))
			continue;
		seg->bias = seg->start - seg->offset - ph.p_vaddr + ph.p_offset;
		seg->has_bias = true;
		if (at == seg->offset)
			break;
	}
}

static struct segment *find_segment(struct symbolizer *s, uintptr_t addr)
{
	size_t lo = 0, hi = s->n_segments, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (s->segment[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == s->n_segments || addr < s->segment[lo].start)
		return NULL;
	return &s->segment[lo];
}

/* ---- questions ----------------------------------------------------------- */

static size_t hash(uint64_t v, size_t n)
{
	return (size_t)((v * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & (n - 1);
}

/* NULL when the unit does not say or the pool is full. A path pushed out of the
 * table by another is written anew when it is met again. */
static const char *intern_path(struct symbolizer *s,
			       const struct dwarfline *lines,
			       const struct dwarfline_pos *pos)
{
	uint64_t key = (uintptr_t)lines + pos->unit * 31 + pos->file;
	struct interned *e = &s->paths[hash(key, N_PATHS)];
	size_t len;

	if (e->lines == lines && e->unit == pos->unit && e->file == pos->file)
		return e->path;
	len = dwarfline_path(lines, pos, s->pool + s->pool_len,
			     POOL_SIZE - s->pool_len);
	if (!len)
		return NULL;
	*e = (struct interned){lines, pos->unit, pos->file,
			       s->pool + s->pool_len};
	s->pool_len += len + 1;
	return e->path;
}

static void find_line(struct symbolizer *s, const struct object *o,
		      uint64_t addr, struct sym_frame *out)
{
	const struct dwarfline *lines = &o->image.lines;
	struct dwarfline_pos pos;

	if (!lines->n_seqs)
		lines = &o->debug.lines;
	if (!dwarfline_find(lines, addr, &pos))
		return;
	out->file = intern_path(s, lines, &pos);
	out->line = out->file ? pos.line : 0;
}

static bool resolve(struct symbolizer *s, uintptr_t addr, struct sym_frame *out)
{
	struct segment *seg = find_segment(s, addr);
	const struct symbolize_image *im;
	struct object *o;

	*out = (struct sym_frame){0};
	if (!seg)
		return false;
	o = seg->object;
	if (o->state == OBJECT_NEW)
		open_object(o, seg);
	if (!seg->is_tried) {
		seg->is_tried = true;
		find_bias(seg);
	}
	out->object = o->path;
	out->object_offset = addr - seg->start + seg->offset;
	if (!seg->has_bias)
		return true;
	out->object_offset = addr - seg->bias;
	im = o->debug.has_symtab && !o->image.has_symtab ? &o->debug
							 : &o->image;
	symbolize_image_function(im, addr - seg->bias, out);
	find_line(s, o, addr - seg->bias, out);
	return true;
}

bool symbolize_pc(struct symbolizer *s, uintptr_t pc, bool is_return_address,
		  struct sym_frame *out)
{
	unsigned back = is_return_address ? 1 : 0;
	uintptr_t addr = pc - back;
	struct cached *c = &s->cache[hash(addr, N_CACHE)];

	if (c->addr != addr || !c->frame.object) {
		c->addr = addr;
		if (!resolve(s, addr, &c->frame)) {
			*out = (struct sym_frame){0};
			return false;
		}
	}
	*out = c->frame;
	out->object_offset += back;
	if (out->function)
		out->function_offset += back;
	return true;
}

/* ---- opening and closing ------------------------------------------------- */

static const char *pool_string(struct symbolizer *s, const char *string)
{
	size_t size = strlen(string) + 1;
	char *p = s->pool + s->pool_len;

	if (size > POOL_SIZE - s->pool_len)
		return NULL;
	memcpy(p, string, size);
	s->pool_len += size;
	return p;
}

/* The mappings of one file follow each other: the newest object comes first. */
static struct object *find_object(struct symbolizer *s, const char *path)
{
	struct object *o;
	size_t i;

	for (i = s->n_objects; i-- > 0;)
		if (strcmp(s->object[i].path, path) == 0)
			return &s->object[i];
	if (s->n_objects == N_OBJECTS)
		return NULL;
	o = &s->object[s->n_objects];
	o->path = pool_string(s, path);
	if (!o->path)
		return NULL;
	o->is_vdso = path[0] == '[';
	s->n_objects++;
	return o;
}

static const char *parse_hex(const char *p, uint64_t *out)
{
	uint64_t v = 0;

	for (;; p++) {
		if (*p >= '0' && *p <= '9')
			v = v << 4 | (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			v = v << 4 | (uint64_t)(*p - 'a' + 10);
		else
			break;
	}
	*out = v;
	return p;
}

static const char *skip_field(const char *p)
{
	p += strspn(p, " ");
	return p + strcspn(p, " ");
}

/* One line, NUL-terminated: "start-end perms offset device inode   path". */
static void parse_mapping(struct symbolizer *s, const char *line)
{
	uint64_t start, end, offset;
	struct object *o;
	const char *p, *perms;

	p = parse_hex(line, &start);
	if (*p != '-')
		return;
	p = parse_hex(p + 1, &end);
	perms = p + strspn(p, " ");
	p = skip_field(p);
	if (p - perms != 4 || perms[0] != 'r' || perms[2] != 'x')
		return;
	p = parse_hex(p + strspn(p, " "), &offset);
	p = skip_field(skip_field(p));
	p += strspn(p, " ");
	if ((*p != '/' && strcmp(p, "[vdso]") != 0) ||
	    s->n_segments == N_SEGMENTS)
		return;
	o = find_object(s, p);
	if (!o)
		return;
	s->segment[s->n_segments++] = (struct segment){
		.start = start, .end = end, .offset = offset, .object = o};
}

/* Hands on the whole lines of the first n bytes of the buffer; returns how many
 * bytes of an unfinished line now begin it. */
static size_t parse_lines(struct symbolizer *s, size_t n)
{
	char *line = s->buffer, *end = s->buffer + n, *nl;

	while ((nl = memchr(line, '\n', (size_t)(end - line)))) {
		*nl = '\0';
		parse_mapping(s, line);
		line = nl + 1;
	}
	n = (size_t)(end - line);
	memmove(s->buffer, line, n);
	return n;
}

static bool read_maps(struct symbolizer *s, const char *path)
{
	size_t have = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	for (;;) {
		n = read(fd, s->buffer + have, MAPS_BUFFER - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have = parse_lines(s, have + (size_t)n);
		if (have == MAPS_BUFFER) /* no line of the kernel's */
			have = 0;
	}
	close(fd);
	return s->n_segments > 0;
}

/* The kernel spells both paths the same way, " (deleted)" included. */
static void mark_executable(struct symbolizer *s)
{
	ssize_t n = readlink("/proc/self/exe", s->buffer, MAPS_BUFFER - 1);
	size_t i;

	if (n <= 0)
		return;
	s->buffer[n] = '\0';
	for (i = 0; i < s->n_objects; i++)
		if (strcmp(s->object[i].path, s->buffer) == 0)
			s->object[i].is_exe = true;
}

struct symbolizer *symbolize_open(void)
{
	struct symbolizer *s = dwarfline_pages(sizeof(*s));

	if (!s)
		return NULL;
	/* "self" reads empty once the first thread has ended. */
	if (!read_maps(s, "/proc/self/maps") &&
	    !read_maps(s, "/proc/thread-self/maps")) {
		munmap(s, sizeof(*s));
		return NULL;
	}
	mark_executable(s);
	return s;
}

void symbolize_close(struct symbolizer *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->n_objects; i++) {
		if (s->object[i].is_vdso)
			symbolize_image_close(&s->object[i].image);
		else
			unmap_file(&s->object[i].image);
		unmap_file(&s->object[i].debug);
	}
	munmap(s, sizeof(*s));
}
