/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * end_after.h - for `npm run bench -- xdp --stages` only: a build that ends every packet after a step of program.h.
 */
#ifndef SHUNT_DATAPATH_END_AFTER_H
#define SHUNT_DATAPATH_END_AFTER_H

#ifndef SH_END_AFTER
#define SH_END_AFTER 0
#endif

#endif
