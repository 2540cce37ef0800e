# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lab.sh - sourced by guest.sh: real packets over veth, with one backend, so that an emulated processor has time for it.
#
# Owns: the lab named kernels, its configuration (/tmp/kernels.yaml), and the functions by which nic.sh goes on in it.

# shellcheck disable=SC2317,SC2016
export SHUNT_LAB=kernels SHUNT_LAB_HOSTS="router client gateway b1"
export state=/run/shunt-lab/kernels config=/tmp/kernels.yaml

cat >$config <<-'END'
	version: 1
	cluster: { name: kernels, seed: kernels, keys: [{ id: 1, secret: "4c61624b65794f66536861756e740001" }] }
	engine: { mode: auto }
	gateways: { g1: { interface: eth0 } }
	backends: { b1: { address: [10.77.11.2, "fd77:11::2"], interface: eth0 } }
	services:
	  dns:
	    address: [203.0.113.53, "2001:db8:53::53"]
	    port: 53
	    protocol: [udp, tcp]
	    backends: [b1]
	    redirect: { clients: true, term: leased, lease: 60s }
	  web: { address: [203.0.113.80, "2001:db8:53::80"], port: 80, protocol: tcp, backends: [b1] }
END

# Not by scripts/lab and the CLI, which take seconds on an emulated processor.
in_host() { ip netns exec "kernels-$1" "${@:2}"; }
# until_true SECONDS COMMAND...
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

# ended PID: gone, or not waited for yet.
ended() { [ -z "$(tr -d '\0' <"/proc/$1/cmdline" 2>/dev/null)" ]; }

# start HOST ROLE NAME [OPTION...]: returns when the daemon is ready, or has ended.
start() {
	local host=$1 role=$2 name=$3 pid
	shift 3
	rm -f "/tmp/$name.out"
	setsid ip netns exec "kernels-$host" node "$PWD/dist/cli/main.js" "$role" "$@" --json </dev/null >"/tmp/$name.out" 2>&1 &
	pid=$!
	echo $pid >"/tmp/$name.pid"
	ready_or_ended() { grep -q '"event":"ready"' "/tmp/$name.out" || ended "$pid"; }
	until_true 120 ready_or_ended && grep -q '"event":"ready"' "/tmp/$name.out" && return
	cat "/tmp/$name.out"
	return 1
}
gateway() { start gateway gateway g1 --config $config --name g1 --socket "$state/g1.sock"; }
# stop_gateway [SIGNAL]: SIGUSR2 is `shunt stop --keep`.
stop_gateway() {
	local pid
	pid=$(cat /tmp/g1.pid)
	kill "-${1:-TERM}" "$pid"
	gone() { ended "$pid"; }
	until_true 60 gone
}
restart_gateway() { stop_gateway && gateway; }

status() { curl -sS --max-time 30 --unix-socket "$state/g1.sock" http://shunt/status; }
mode() { status | sed -n 's/.*"engine":{"mode":"\([^"]*\)".*/\1/p'; }
why() { status | sed -n 's/.*"engine":{[^}]*"why":"\([^"]*\)".*/\1/p'; }
adopted() { status | sed -n 's/.*"engine":{[^}]*"adopted":\([a-z]*\).*/\1/p'; }
# Packets that the gateway has forwarded.
forwarded() {
	status | grep -o '"verdict":"forward","text":"[^"]*","packets":[0-9]*' | awk -F: '{ sum += $NF } END { print sum + 0 }'
}
# is PATTERN COMMAND...
is() {
	local found
	found=$("${@:2}")
	echo "$2: $found"
	# shellcheck disable=SC2053 # a pattern
	[[ $found == $1 ]]
}

# ask [VERSION [OPTION...]]: one query from the client; the backend's name is the answer.
ask() {
	local address=203.0.113.53 source=198.51.100.7
	if [ "${1:-4}" = 6 ]; then address=2001:db8:53::53 source=2001:db8:100::7; fi
	[ "$(in_host client dig +short +time=2 +tries=3 -b $source "${@:2}" @$address whoami.lab TXT | tail -n 1)" = '"b1"' ]
}
fetch() { [ "$(in_host client curl -gsS --max-time 8 "http://203.0.113.80/")" = b1 ]; }
serves() { ask 4 && ask 6 && ask 4 +tcp && fetch; }

# dnsmasq and nginx as scripts/lab configures them; the checks need no other service.
services() {
	local name
	mkdir -p $state/b1
	for name in dnsmasq.conf nginx.conf; do
		sed -e 's|@HOST@|b1|g' -e "s|@DIRECTORY@|$state/b1|g" -e 's|@IPV4@|10.77.11.2|g' -e 's|@IPV6@|fd77:11::2|g' \
			"scripts/services/$name" >"$state/b1/$name"
	done
	setsid ip netns exec kernels-b1 dnsmasq --keep-in-foreground --conf-file=$state/b1/dnsmasq.conf --port=53 &
	setsid ip netns exec kernels-b1 nginx -p $state/b1 -c $state/b1/nginx.conf -e $state/b1/error.log -g 'daemon off;' &
}
lab_up() { scripts/lab up && services && start b1 backend b1 --config $config --name b1 --socket "$state/b1.sock"; }
native() { gateway && is native mode && serves; }

agent() {
	local before n
	start client client agent --interface eth0 --service udp/203.0.113.53:53 --target-prefix 10.77.0.0/16 || return
	redirected() { ask && grep -q '"event":"redirect"' /tmp/agent.out; }
	until_true 30 redirected || return
	before=$(forwarded)
	for n in 1 2 3 4 5 6; do ask || return; done
	n=$(($(forwarded) - before))
	echo "of 6 queries the gateway has forwarded $n"
	kill -TERM "$(cat /tmp/agent.pid)"
	[ "$n" -lt 6 ]
}

restart() {
	stop_gateway USR2 && ask && gateway && is native mode && is true adopted && serves
}

dump() {
	in_host gateway timeout 90 node "$PWD/dist/cli/main.js" dump -i eth0 -c 2 --destination-port 53 --config $config >/tmp/dumped 2>&1 &
	local dump=$!
	dumped() { ask && ended "$dump"; }
	until_true 90 dumped
	cat /tmp/dumped
	grep -q forward /tmp/dumped
}

user() {
	sed 's/mode: auto/mode: user/' $config >$config.new && mv $config.new $config
	restart_gateway && is user mode && serves
	local result=$?
	sed 's/mode: user/mode: auto/' $config >$config.new && mv $config.new $config
	stop_gateway && return $result
}

export -f in_host until_true ended start gateway stop_gateway restart_gateway status mode why adopted forwarded is ask fetch serves
export -f services lab_up native agent restart dump user

lab_checks() {
	check lab-up 180 "the lab, a backend" bash -xc lab_up
	check native 240 "R33: dig and curl, IPv4 and IPv6, UDP and TCP, over Debian's kernels, engine native" bash -xc native
	check agent 180 "R33: a client under the host agent gets out of the path on Debian's kernels, engine native" bash -xc agent
	check restart 180 "R33: a stopped gateway's pins are adopted by the next on Debian's kernels, engine native" bash -xc restart
	check dump 150 "R33: dump attaches to its target on Debian's kernels, and shows packets, engine native" bash -xc dump
	[ "${brief:-0}" = 1 ] || check user 180 "R33: dig and curl over Debian's kernels, engine user" bash -xc user
}
