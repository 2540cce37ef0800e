// SPDX-License-Identifier: Apache-2.0
//
// kernel_features.cc - see the header.
#include "kernel/kernel_features.h"

#include <cerrno>
#include <initializer_list>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "datapath/types.h"
#include "kernel/libbpf_warnings.h"
#include "linux/descriptor.h"

namespace shunt
{

namespace
{

// Instructions that <linux/filter.h> of the kernel has macros for; the UAPI has none.
constexpr bpf_insn instruction(u8 code, u8 destination, u8 source, short offset, int immediate)
{
	return {code, destination, source, offset, immediate};
}

constexpr bpf_insn RETURN = instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
constexpr bpf_insn R0_IS_2 = instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 2);

// Whether the kernel does not know it. Every other failure leaves the question open.
bool unknown_to_kernel(int error)
{
	return error == EINVAL || error == ENOTSUP || error == ENOSYS || error == E2BIG;
}

bool program_loads(std::initializer_list<bpf_insn> instructions, u32 flags)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = flags);
	Descriptor program(bpf_prog_load(BPF_PROG_TYPE_XDP, "shunt_probe", "GPL", instructions.begin(),
	                                 instructions.size(), &options));

	return program.is_open() || !unknown_to_kernel(errno);
}

bool map_exists(bpf_map_type type, u32 key, u32 value, u32 entries, u32 flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
	Descriptor map(bpf_map_create(type, "shunt_probe", key, value, entries, &options));

	return map.is_open() || !unknown_to_kernel(errno);
}

bool has_frags()
{
	return program_loads({R0_IS_2, RETURN}, BPF_F_XDP_HAS_FRAGS);
}

bool has_mmapable_arrays()
{
	return map_exists(BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_MMAPABLE);
}

bool has_ring_buffer()
{
	return map_exists(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0);
}

// The command came in the release that has links of XDP programs, and refuses a descriptor that is none in another way than a
// kernel that does not know the command.
bool has_links()
{
	return bpf_link_detach(-1) == 0 || !unknown_to_kernel(errno);
}

// Compares and exchanges eight bytes on the stack, as a session's record is claimed.
bool has_atomics()
{
	return program_loads(
		{
			instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
			instruction(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_0, -8, 0),
			instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1),
			instruction(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_10, BPF_REG_1, -8, BPF_CMPXCHG),
			R0_IS_2,
			RETURN,
		},
		0);
}

bool has_helpers(bpf_prog_type type, std::initializer_list<bpf_func_id> helpers)
{
	for (bpf_func_id helper : helpers)
		if (libbpf_probe_bpf_helper(type, helper, nullptr) == 0)
			return false;
	return true;
}

bool has_xdp_helpers()
{
	return has_helpers(BPF_PROG_TYPE_XDP,
	                   {BPF_FUNC_jiffies64, BPF_FUNC_ktime_get_boot_ns, BPF_FUNC_redirect, BPF_FUNC_xdp_adjust_tail,
	                    BPF_FUNC_csum_diff, BPF_FUNC_xdp_get_buff_len, BPF_FUNC_xdp_load_bytes});
}

bool has_tc_helpers()
{
	return has_helpers(BPF_PROG_TYPE_SCHED_CLS,
	                   {BPF_FUNC_redirect_neigh, BPF_FUNC_check_mtu, BPF_FUNC_sk_lookup_udp, BPF_FUNC_sk_lookup_tcp,
	                    BPF_FUNC_ringbuf_output, BPF_FUNC_ktime_get_boot_ns});
}

} // namespace

std::vector<KernelFeature> kernel_features()
{
	begin_libbpf_warnings(); // nothing is printed
	return {
		{"XDP for frames in several buffers", "5.18", true, false, has_frags()},
		{"the helper functions of its XDP programs", "5.18", true, false, has_xdp_helpers()},
		{"atomic BPF instructions", "5.12", true, false, has_atomics()},
		{"the helper functions of the agent's programs", "5.12", false, true, has_tc_helpers()},
		{"BPF links", "5.9", true, false, has_links()},
		{"BPF ring buffers", "5.8", false, true, has_ring_buffer()},
		{"BPF arrays in shared memory", "5.5", true, false, has_mmapable_arrays()},
	};
}

} // namespace shunt
