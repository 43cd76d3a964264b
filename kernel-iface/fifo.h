/* SPDX-License-Identifier: MIT */
/*
 * fifo - what open(2) on a FIFO waits for, asked without waiting.
 */
#ifndef RGK_FIFO_H
#define RGK_FIFO_H

#include <stdbool.h>

/*
 * fifo_has_met_writer - a FIFO, held open for reading: is there a writer, or has there
 * been one? Takes nothing out of it. Needs two descriptors for a moment: false without.
 */
bool fifo_has_met_writer(int fd);

#endif
