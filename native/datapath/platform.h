/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * platform.h - the one door between the packet program and the engine that runs it.
 *
 * Owns: the list of what an engine gives. The include path chooses the engine, by whose engine_platform.h it finds:
 *
 *   struct sh_env                           what a stage is handed: the clock's reading and, in user space, the tables
 *   struct sh_frame {u8 *data, *end; ...}   the packet, from its Ethernet header on
 *
 *   sh_now_ns(env)                monotonic clock, nanoseconds
 *   sh_control(env)               the published set; NULL before the first
 *   sh_env_restore(handed, &env)    a stage's own env from one it was handed as memory (types.h, SH_STAGE_ALONE)
 *   sh_env_handle(env), sh_env_of(handle, &env)
 *                                 the same by a number, for look-ups alone: without a clock; of published tables only
 *   sh_service_slot(env, i), sh_rule_slot, sh_own_slot, sh_redirection_at, sh_row_at, sh_target_at, sh_key_at
 *                                 entry i of a table; NULL when there is none
 *   sh_bucket4_at(env, i), sh_bucket6_at(env, i), sh_fragment_at(env, i)
 *                                 the tables that packets write: sessions and fragments
 *   sh_limit_at(env, i), sh_pending_redirect_at(env, i)
 *                                 the limits of answers, i below SH_LIMIT_CELLS, and what is to be told, i below
 *                                 SH_PENDING_REDIRECTS; NULL where there are none
 *   sh_failure_report_at(env, i)  what clients report of targets, i below SH_FAILURE_REPORTS; NULL where nothing is noted
 *   sh_scratch(env)               SH_SCRATCH_BYTES of memory of this processor's own, zero at first, for one packet's time: BPF
 *                                 has 512 bytes of stack, for a whole chain of calls
 *   sh_cached_tag_at(env, i)        this processor's own, of SH_CACHED_TAGS; NULL where none are kept
 *   sh_cached_start_at(env, i)      the same, of SH_CACHED_STARTS
 *   sh_ingress(env, frame)        index of the interface that the packet comes from
 *   sh_packet_of(frame), sh_frame_of(packet, &room), sh_frame_refresh(frame)
 *                                 what stands for the frame in a stage that is verified alone, the frame there, and, after such a
 *                                 stage, in its caller
 *   sh_socket_listens(env, frame, flow)   does a local socket receive packets to the flow's destination?
 *   sh_socket_connected(env, frame, flow)   has this host a TCP connection of exactly this flow?
 *   sh_hand_over(frame, target)   hands a copy of the packet to what sends it in fragments (oversize.h); 0, or -1: none is
 *                                 there, or it has no room. In user space the pipeline finds such packets by their reason
 *   sh_length(frame)              bytes of the whole packet
 *   sh_beyond(frame, n)           is the packet shorter than n bytes? Its headers lie in one piece from data to end, and in
 *                                 the kernel the rest of a jumbo frame may lie elsewhere
 *   sh_push(frame, n)             grow the packet by n bytes at its head; 0 or -1 (then nothing has changed)
 *   sh_pop(frame, n)              shorten it by n bytes at its head; 0 or -1
 *   sh_trim(frame, length)        cut it to length bytes; 0 or -1
 *                                 After each of these three, every pointer into the packet is void.
 *
 * Must never: hold logic. What both engines need is written once, in this folder.
 */
#ifndef SHUNT_DATAPATH_PLATFORM_H
#define SHUNT_DATAPATH_PLATFORM_H

#include <engine_platform.h> /* native/user/platform or native/kernel/bpf, by the include path */

#endif
