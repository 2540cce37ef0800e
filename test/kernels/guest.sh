#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest.sh - the checks that scripts/kernels runs inside a guest: R33, on the guest's kernel.
#
#   verifier   every BPF program passes this kernel's verifier (dump.bpf.c is loaded by `shunt dump`, onto its target); alone,
#              with SHUNT_KERNELS_CHECKS=verifier, and by the checks below, which run all but stand_in.bpf.c
#   golden     every golden case through this kernel's build of the packet program, by BPF_PROG_TEST_RUN
#   lab        lab.sh: dig, curl, the host agent, a restart with pins, a capture
#   nic        nic.sh: the same gateway on virtio-net
#   refused    on a kernel that is too old: the refusals
#   quickstart scripts/quickstart, with SHUNT_KERNELS_CHECKS=all: ten minutes on an emulated processor
#
# Prints `ok NAME` or `not ok NAME: WHY` for each; scripts/kernels counts them. The title of a check is for the reader and for
# docs/requirements.md. Must never: leave out a check silently.

# Functions are called by name, in a shell of their own, so that a time limit can end them.
# shellcheck disable=SC2317
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
cd "$SHUNT_PROJECT" || exit 1
modprobe -a veth tun nf_tables virtio_net
# The lab's own interfaces are named eth0, and a name that is taken here can be given to no other namespace's.
for name in $(ip -o link | sed -n 's/^[0-9]*: \(eth[0-9]*\):.*/\1/p'); do ip link set "$name" name "nic-$name"; done
echo "# Linux $(uname -r), $(nproc) processors, up $(cut -d' ' -f1 /proc/uptime) s"

# check NAME SECONDS TITLE COMMAND...
check() {
	local name=$1 limit=$2 started=$SECONDS
	shift 3
	if timeout "$limit" "$@" >"/tmp/$name.log" 2>&1; then
		echo "ok $name ($((SECONDS - started)) s)"
	else
		echo "not ok $name: exit status $? after $((SECONDS - started)) s"
		grep -aE '^(quickstart|shunt|golden): |^libbpf: prog|unbounded|invalid|too large|not allowed' "/tmp/$name.log" |
			head -n 5 | sed 's/^/# /'
		tail -n 15 "/tmp/$name.log" | sed 's/^/# /'
	fi
}

load() { bpftool prog loadall "build/bpf/$1.bpf.o" "/sys/fs/bpf/check-$1" && rm -r "/sys/fs/bpf/check-$1"; }

# On a kernel that lacks what XDP needs, and nftables tables with an owner too. The lab's links get no program there (in this
# guest's overlay, the file is gone).
refused() { scripts/lab up && ! gateway && grep -q 'SHUNT_FIREWALL_FAILED.*Linux 5.12' /tmp/g1.out; }
refused_by_name() {
	! start gateway "$@" && grep -q SHUNT_KERNEL_TOO_OLD "/tmp/$2.out" && grep -q '6.1 or later is needed' "/tmp/$2.out"
}
native_refused() {
	sed 's/mode: auto/mode: native/' "$config" >/tmp/native.yaml &&
		refused_by_name gateway g1 --config /tmp/native.yaml --name g1 --socket "$state/g1.sock"
}
agent_refused() { refused_by_name client agent --interface eth0 --service udp/203.0.113.53:53 --target-prefix 10.77.0.0/16; }
export -f load refused refused_by_name native_refused agent_refused

. test/kernels/lab.sh
. test/kernels/nic.sh

old_checks() {
	rm build/bpf/pass.bpf.o
	check refused 180 "R33: a kernel that is too old for user space as well is refused by name, engine user" bash -xc refused
	check native-refused 180 "R33: engine native is refused by name on a kernel that is too old" bash -xc native_refused
	check agent-refused 180 "R33: the host agent is refused by name on a kernel that is too old" bash -xc agent_refused
}

case $(uname -r) in
5.*)
	old_checks
	exit 0
	;;
esac

# In CI an emulated processor has time for less: nic.sh on the newer kernel alone, and without what depends on Shunt more than on
# the kernel.
brief=0
[ "$SHUNT_KERNELS_CHECKS" = all ] || brief=1
[ $brief = 0 ] || echo "# with --lab besides: user, nic-queues, nic-jumbo, nic-offloads, quickstart; and nic.sh on 6.1"

# Those that no other check loads, unless there is none.
objects="stand_in"
[ "$SHUNT_KERNELS_CHECKS" != verifier ] || objects="shunt stand_in pass watch agent"
for object in $objects; do
	check "verifier-$object" 600 "R33: the verifier of Debian's kernels accepts every program" bash -xc "load $object"
done
[ "$SHUNT_KERNELS_CHECKS" != verifier ] || exit 0

check golden 240 "R33: every golden case gives the same bytes, counters and sessions on Debian's kernels" \
	node test/kernels/golden.mjs build-kernels/recording
lab_checks
case $brief:$(uname -r) in
1:6.1.*) ;;
*) nic_checks ;;
esac
scripts/lab down >/dev/null
[ "$SHUNT_KERNELS_CHECKS" = all ] || exit 0

unset SHUNT_LAB_HOSTS
SHUNT_LAB=quickstart check quickstart 900 "R33: the lab of quickstart over native XDP" scripts/quickstart --skip-install
exit 0
