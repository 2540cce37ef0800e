// SPDX-License-Identifier: Apache-2.0
//
// mptcp_path_manager.h - MPTCP's user-space path manager (RFC 8684; Linux 5.19): the generic netlink family "mptcp_pm".
//
//   events     connections and subflows of this network namespace, as they begin and end
//   commands   announce an address to one connection's client, withdraw it, and set a subflow's priority
//
// A connection is named by its token. The kernel takes these commands only for connections that began while
// net.mptcp.pm_type was 1, and it accepts their further subflows only while a socket is a member of the event group.
//
// Owns: the family's number and group, the requests, and the check of every length in an event.
// Must never: decide which address is announced.
#ifndef SHUNT_LINUX_MPTCP_PATH_MANAGER_H
#define SHUNT_LINUX_MPTCP_PATH_MANAGER_H

#include <cstdint>
#include <optional>
#include <vector>

#include "linux/descriptor.h"
#include "linux/ip_address.h"
#include "linux/netlink.h"
#include "linux/status.h"

namespace shunt
{

struct MptcpEndpoint {
	IpAddress address;
	uint16_t port = 0; // host order
};

enum class MptcpEventType : uint8_t { established, closed, subflow_established, subflow_closed };

struct MptcpEvent {
	MptcpEventType type;
	uint32_t token;
	// Of a connection that has closed, the rest is empty.
	MptcpEndpoint local;
	MptcpEndpoint remote;
	uint8_t local_id; // of the local address; 0 is that of the first subflow
};

// The event that a message of the event group describes. None: of another kind, or too short for what it claims.
std::optional<MptcpEvent> mptcp_event(const NetlinkMessage &message);

class MptcpPathManager
{
public:
	// ENOENT: this kernel has no MPTCP, or no path manager.
	Status open();
	// `port` 0: the port of the client's first subflow. `id`: 1 to 255, the same for withdraw().
	Status announce(uint32_t token, uint8_t id, const MptcpEndpoint &endpoint);
	Status withdraw(uint32_t token, uint8_t id);
	// MP_PRIO of the subflow between these two.
	Status set_backup(uint32_t token, const MptcpEndpoint &local, const MptcpEndpoint &remote, bool backup);
	// Endpoints of the kernel's own path manager, such as `ip mptcp endpoint add` makes.
	Result<uint32_t> kernel_endpoints();

	uint16_t family() const { return family_; }
	uint32_t event_group() const { return event_group_; }

private:
	Status send(NetlinkRequest &request, const char *step);

	Netlink netlink_;
	uint16_t family_ = 0;
	uint32_t event_group_ = 0;
};

struct MptcpEventBatch {
	std::vector<MptcpEvent> events;
	bool lost = false; // the kernel had no room for some: the sockets have to be listed
};

// A member of the event group.
class MptcpEventSocket
{
public:
	Status open(const MptcpPathManager &manager);
	// Waits until there is at least one event, or `stop` is readable: then the batch is empty.
	Result<MptcpEventBatch> wait(int stop);

private:
	Descriptor socket_;
	uint16_t family_ = 0;
};

} // namespace shunt

#endif
