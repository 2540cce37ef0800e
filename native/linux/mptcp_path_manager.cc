// SPDX-License-Identifier: Apache-2.0
//
// mptcp_path_manager.cc - see the header.
#include "linux/mptcp_path_manager.h"

#include <cerrno>
#include <cstddef>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace shunt
{

namespace
{

constexpr const char *STEP = "the netlink family mptcp_pm";
constexpr uint8_t VERSION = 1;
constexpr int RECEIVE_BUFFER = 4 << 20; // about 20,000 events
constexpr int DATAGRAMS_MAX = 256;      // of one batch

NetlinkRequest generic_request(uint16_t family, uint8_t command, uint8_t version, uint16_t flags)
{
	NetlinkRequest request(family, flags);
	genlmsghdr head = {command, version, 0};

	request.family_header(head);
	return request;
}

// An attribute that holds others, in a request of fixed room.
class Nest
{
public:
	void put(uint16_t type, const void *data, size_t length)
	{
		nlattr head = {static_cast<uint16_t>(sizeof(nlattr) + length), type};

		append(&head, sizeof(head));
		append(data, length);
		bytes_.resize(NLA_ALIGN(bytes_.size()));
	}
	template <typename T> void put(uint16_t type, T value) { put(type, &value, sizeof(value)); }
	void finish(NetlinkRequest *request, uint16_t type) const
	{
		request->attribute(type | NLA_F_NESTED, bytes_.data(), bytes_.size());
	}

private:
	void append(const void *data, size_t length)
	{
		const auto *from = static_cast<const unsigned char *>(data);

		bytes_.insert(bytes_.end(), from, from + length);
	}

	std::vector<unsigned char> bytes_;
};

Nest nest_of(const MptcpEndpoint &endpoint)
{
	Nest nest;
	bool ipv4 = endpoint.address.is_ipv4();

	nest.put<uint16_t>(MPTCP_PM_ADDR_ATTR_FAMILY, endpoint.address.family());
	nest.put(ipv4 ? MPTCP_PM_ADDR_ATTR_ADDR4 : MPTCP_PM_ADDR_ATTR_ADDR6, endpoint.address.data(),
	         endpoint.address.size());
	if (endpoint.port != 0)
		nest.put<uint16_t>(MPTCP_PM_ADDR_ATTR_PORT, endpoint.port);
	return nest;
}

std::optional<MptcpEventType> type_of(uint8_t command)
{
	switch (command) {
	case MPTCP_EVENT_ESTABLISHED:
		return MptcpEventType::established;
	case MPTCP_EVENT_CLOSED:
		return MptcpEventType::closed;
	case MPTCP_EVENT_SUB_ESTABLISHED:
		return MptcpEventType::subflow_established;
	case MPTCP_EVENT_SUB_CLOSED:
		return MptcpEventType::subflow_closed;
	default:
		return std::nullopt;
	}
}

bool read_address(const AttributeCursor &at, size_t length, IpAddress *out)
{
	std::optional<IpAddress> address;

	if (at.length() >= length)
		address = IpAddress::from_bytes(at.data(), length);
	if (address)
		*out = *address;
	return address.has_value();
}

} // namespace

std::optional<MptcpEvent> mptcp_event(const NetlinkMessage &message)
{
	genlmsghdr head;
	MptcpEvent event = {};
	uint16_t port = 0;
	bool has_token = false, whole = true;

	if (!message.head(&head))
		return std::nullopt;
	std::optional<MptcpEventType> type = type_of(head.cmd);
	if (!type)
		return std::nullopt;
	event.type = *type;
	for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();) {
		switch (at.type()) {
		case MPTCP_ATTR_TOKEN:
			has_token = at.read(&event.token);
			break;
		case MPTCP_ATTR_LOC_ID:
			whole = at.read(&event.local_id) && whole;
			break;
		case MPTCP_ATTR_SADDR4:
			whole = read_address(at, 4, &event.local.address) && whole;
			break;
		case MPTCP_ATTR_SADDR6:
			whole = read_address(at, 16, &event.local.address) && whole;
			break;
		case MPTCP_ATTR_DADDR4:
			whole = read_address(at, 4, &event.remote.address) && whole;
			break;
		case MPTCP_ATTR_DADDR6:
			whole = read_address(at, 16, &event.remote.address) && whole;
			break;
		case MPTCP_ATTR_SPORT:
			whole = at.read(&port) && whole;
			event.local.port = ntohs(port);
			break;
		case MPTCP_ATTR_DPORT:
			whole = at.read(&port) && whole;
			event.remote.port = ntohs(port);
			break;
		default:
			break;
		}
	}
	return has_token && whole ? std::optional<MptcpEvent>(event) : std::nullopt;
}

Status MptcpPathManager::open()
{
	if (Status status = netlink_.open(NETLINK_GENERIC); !status.ok())
		return status;
	NetlinkRequest request = generic_request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, 0);
	request.attribute(CTRL_ATTR_FAMILY_NAME, MPTCP_PM_NAME, sizeof(MPTCP_PM_NAME));
	Status status = netlink_.ask(request, STEP, [this](const NetlinkMessage &message) {
		for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();) {
			if (at.type() == CTRL_ATTR_FAMILY_ID)
				at.read(&family_);
			if (at.type() != CTRL_ATTR_MCAST_GROUPS)
				continue;
			for (AttributeCursor group = at.nested(); group.next();) {
				uint32_t id = 0;
				bool events = false;

				for (AttributeCursor part = group.nested(); part.next();) {
					if (part.type() == CTRL_ATTR_MCAST_GRP_ID)
						part.read(&id);
					if (part.type() == CTRL_ATTR_MCAST_GRP_NAME)
						events = part.length() == sizeof(MPTCP_PM_EV_GRP_NAME) &&
						         memcmp(part.data(), MPTCP_PM_EV_GRP_NAME, part.length()) == 0;
				}
				if (events)
					event_group_ = id;
			}
		}
	});
	return status.ok() && (family_ == 0 || event_group_ == 0) ? Status::system(STEP, ENOENT) : status;
}

Status MptcpPathManager::send(NetlinkRequest &request, const char *step)
{
	return netlink_.ask(request, step, [](const NetlinkMessage &) {});
}

Status MptcpPathManager::announce(uint32_t token, uint8_t id, const MptcpEndpoint &endpoint)
{
	NetlinkRequest request = generic_request(family_, MPTCP_PM_CMD_ANNOUNCE, VERSION, NLM_F_ACK);
	Nest nest = nest_of(endpoint);

	nest.put<uint8_t>(MPTCP_PM_ADDR_ATTR_ID, id);
	nest.put<uint32_t>(MPTCP_PM_ADDR_ATTR_FLAGS, MPTCP_PM_ADDR_FLAG_SIGNAL);
	nest.finish(&request, MPTCP_PM_ATTR_ADDR);
	request.attribute(MPTCP_PM_ATTR_TOKEN, &token, sizeof(token));
	return send(request, "MPTCP_PM_CMD_ANNOUNCE");
}

Status MptcpPathManager::withdraw(uint32_t token, uint8_t id)
{
	NetlinkRequest request = generic_request(family_, MPTCP_PM_CMD_REMOVE, VERSION, NLM_F_ACK);

	request.attribute(MPTCP_PM_ATTR_TOKEN, &token, sizeof(token));
	request.attribute(MPTCP_PM_ATTR_LOC_ID, &id, sizeof(id));
	return send(request, "MPTCP_PM_CMD_REMOVE");
}

Status MptcpPathManager::set_backup(uint32_t token, const MptcpEndpoint &local, const MptcpEndpoint &remote,
                                    bool backup)
{
	NetlinkRequest request = generic_request(family_, MPTCP_PM_CMD_SET_FLAGS, VERSION, NLM_F_ACK);
	Nest own = nest_of(local);

	own.put<uint32_t>(MPTCP_PM_ADDR_ATTR_FLAGS, backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0);
	request.attribute(MPTCP_PM_ATTR_TOKEN, &token, sizeof(token));
	own.finish(&request, MPTCP_PM_ATTR_ADDR);
	nest_of(remote).finish(&request, MPTCP_PM_ATTR_ADDR_REMOTE);
	return send(request, "MPTCP_PM_CMD_SET_FLAGS");
}

Result<uint32_t> MptcpPathManager::kernel_endpoints()
{
	NetlinkRequest request = generic_request(family_, MPTCP_PM_CMD_GET_ADDR, VERSION, NLM_F_DUMP);
	uint32_t count = 0;
	Status status = netlink_.ask(request, "MPTCP_PM_CMD_GET_ADDR", [&](const NetlinkMessage &) { count++; });

	return status.ok() ? Result<uint32_t>(count) : Result<uint32_t>(status);
}

Status MptcpEventSocket::open(const MptcpPathManager &manager)
{
	int buffer = RECEIVE_BUFFER;
	auto group = static_cast<int>(manager.event_group());

	family_ = manager.family();
	socket_ = Descriptor(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC));
	if (!socket_.is_open())
		return Status::system("socket(AF_NETLINK)", errno);
	sockaddr_nl own = {};
	own.nl_family = AF_NETLINK;
	if (bind(socket_.get(), reinterpret_cast<const sockaddr *>(&own), sizeof(own)) < 0)
		return Status::system("bind(AF_NETLINK)", errno);
	// A smaller buffer loses events earlier, which is no error.
	setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (setsockopt(socket_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return Status::system("NETLINK_ADD_MEMBERSHIP", errno);
	return {};
}

Result<MptcpEventBatch> MptcpEventSocket::wait(int stop)
{
	pollfd ready[] = {{socket_.get(), POLLIN, 0}, {stop, POLLIN, 0}};
	std::vector<unsigned char> buffer(16384);
	MptcpEventBatch batch;

	while (poll(ready, 2, -1) < 0)
		if (errno != EINTR)
			return Status::system("poll", errno);
	if (ready[1].revents != 0)
		return batch;
	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		sockaddr_nl from = {};
		socklen_t from_length = sizeof(from);
		ssize_t length = recvfrom(socket_.get(), buffer.data(), buffer.size(), 0,
		                          reinterpret_cast<sockaddr *>(&from), &from_length);

		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (length < 0 && errno == ENOBUFS) {
			batch.lost = true;
			continue;
		}
		if (length < 0)
			return Status::system("the MPTCP events", errno);
		if (from.nl_pid != 0)
			continue; // only the kernel has port 0
		auto each = [&](const NetlinkMessage &message) {
			if (message.type != family_)
				return;
			if (std::optional<MptcpEvent> event = mptcp_event(message); event)
				batch.events.push_back(*event);
		};
		// The sequence number of a notification is 0.
		NetlinkProgress progress =
			netlink_walk(buffer.data(), static_cast<size_t>(length), 0, true, each, "the MPTCP events");
		if (!progress.status.ok())
			batch.lost = true;
	}
	return batch;
}

} // namespace shunt
