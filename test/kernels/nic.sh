# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# nic.sh - sourced by guest.sh after lab.sh: the gateway on virtio-net, a NIC's driver as most virtual machines have it.
#
#   router ── NIC "peer" ═ tap ── bridge in a namespace of the host ── tap ═ NIC "nic" or "plain" ── gateway
#
# "nic" has four queues for two processors; "plain" cannot turn its guest offloads off (ctrl_guest_offloads=off). scripts/kernels
# makes them; the last byte of a MAC says which is which.
#
# Owns: the link between router and gateway, instead of the lab's veth.

# shellcheck disable=SC2317
export peer=01 nic=02 plain=03 refused='*not native XDP, eth0: its driver accepts no native XDP program: '

# name_of NIC: in this namespace.
name_of() { ip -o link | sed -n "s/^[0-9]*: \([^:@]*\):.*52:54:00:77:00:$1 .*/\1/p"; }
address_gateway() {
	ip -n kernels-gateway -batch - <<-END
		address replace 10.77.2.2/24 dev eth0
		address replace fd77:2::2/64 dev eth0 nodad
		link set eth0 up
		route replace default via 10.77.2.1
		route replace default via fd77:2::1
	END
}
# use NIC: as the gateway's eth0. The one before comes back to this namespace.
use() {
	ip -n kernels-gateway link set eth0 netns 1 name "was$((SECONDS))" || return
	ip link set "$(name_of "$1")" netns kernels-gateway name eth0 && address_gateway
	ip -n kernels-router neigh flush dev gateway # of the NIC before, whose MAC was another
}
nic_up() {
	ip -n kernels-gateway link delete eth0
	ip link set "$(name_of $peer)" netns kernels-router name gateway
	ip -n kernels-router -batch - <<-END
		address add 10.77.2.1/24 dev gateway
		address add fd77:2::1/64 dev gateway nodad
		link set gateway up
		route add 203.0.113.0/24 via 10.77.2.2
		route add 2001:db8:53::/64 via fd77:2::2
	END
	ip link set "$(name_of $nic)" netns kernels-gateway name eth0 && address_gateway
	in_host gateway ethtool -i eth0 && in_host gateway ethtool -l eth0 && in_host gateway ethtool -k eth0 | grep gro
}
gro_hw() { in_host gateway ethtool -k eth0 | sed -n 's/^rx-gro-hw: \([a-z]*\).*/\1/p'; }
has_xdp() { ip -n kernels-gateway link show eth0 | grep -q 'prog/xdp'; }
xdp_tx() { in_host gateway ethtool -S eth0 | awk '/xdp_tx:/ { sum += $2 } END { print sum }'; }

nic_native() {
	stop_gateway # of the lab's veth
	nic_up && is on gro_hw && gateway && is native mode && serves && is off gro_hw &&
		! grep 'shares transmit queues' /tmp/g1.out && xdp_tx && [ "$(xdp_tx)" -gt 0 ]
}
# A whole datagram of the client's link does not fit into the tunnel on the gateway's: 72 bytes are missing.
too_big() {
	learned() {
		in_host client bash -c 'head -c 1472 /dev/zero >/dev/udp/203.0.113.53/53'
		ip -n kernels-client route get 203.0.113.53 | grep 'mtu 1428'
	}
	until_true 20 learned
}
link_down_up() {
	ip -n kernels-gateway link set eth0 down && sleep 1 && address_gateway && has_xdp && until_true 30 ask && serves &&
		is native mode
}
nic_stop() {
	stop_gateway && until_true 10 is on gro_hw && ! has_xdp
}
# All four queues are in use for two processors: the driver would take the program, and crash at the first packet.
few_queues() {
	in_host gateway ethtool -L eth0 combined 4 && gateway && is generic mode && is '*native XDP would crash the kernel*' why &&
		serves && stop_gateway && in_host gateway ethtool -L eth0 combined 2
}
# Since Linux 6.3 virtio_net takes frames in several buffers.
jumbo() {
	ip -n kernels-gateway link set eth0 mtu 9000 && gateway && serves || return
	case $(uname -r) in
	6.1.*) is generic mode && is "$refused*MTU too large to enable XDP" why ;;
	*) is native mode ;;
	esac && stop_gateway && ip -n kernels-gateway link set eth0 mtu 1500
}
fixed_offloads() {
	use $plain && gateway && serves && is generic mode &&
		is "$refused*Can't set XDP while host is implementing*" why &&
		stop_gateway
}

export -f name_of address_gateway use nic_up gro_hw has_xdp xdp_tx
export -f nic_native too_big link_down_up nic_stop few_queues jumbo fixed_offloads

nic_checks() {
	check nic 240 "R33: on virtio-net the gateway forwards in the driver, its guest offloads off, engine native" bash -xc nic_native
	check nic-too-big 120 "R33: a datagram too big for the link of a NIC is answered, engine native" bash -xc too_big
	check nic-link 180 "R33: a NIC that goes down and up again forwards as before, engine native" bash -xc link_down_up
	check nic-stop 120 "R33: stop gives a NIC its offloads back and takes the program off, engine native" bash -xc nic_stop
	[ "${brief:-0}" = 1 ] || check nic-queues 180 "R33: a NIC with too few queues for native XDP: generic XDP, and a sentence, engine generic" bash -xc few_queues
	[ "${brief:-0}" = 1 ] || check nic-jumbo 180 "R33: an MTU above one buffer: in the driver where it can, else generic by name, engine native" bash -xc jumbo
	[ "${brief:-0}" = 1 ] || check nic-offloads 180 "R33: guest offloads that stay on: generic XDP, and the driver's reason, engine generic" bash -xc fixed_offloads
}
