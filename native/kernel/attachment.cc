// SPDX-License-Identifier: Apache-2.0
//
// attachment.cc - see the header.
#include "kernel/attachment.h"

#include <cerrno>
#include <net/if.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "kernel/object.h"

namespace shunt
{

const char *xdp_mode_name(XdpMode mode)
{
	return mode == XdpMode::native ? "native" : "generic";
}

static u32 flag_of(XdpMode mode)
{
	return mode == XdpMode::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

static std::string program_name(u32 id)
{
	struct bpf_prog_info info = {};
	u32 length = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0) {
		bpf_obj_get_info_by_fd(fd, &info, &length);
		close(fd);
	}
	return std::string("program ") + (info.name[0] ? info.name : "without a name") + " (id " + std::to_string(id) +
	       ")";
}

static bool query(u32 ifindex, struct bpf_xdp_query_opts *state)
{
	*state = {};
	state->sz = sizeof(*state);
	return bpf_xdp_query((int)ifindex, 0, state) == 0;
}

std::string hook_holder(u32 ifindex)
{
	struct bpf_xdp_query_opts state;

	if (!query(ifindex, &state))
		return "";
	for (u32 id : {state.prog_id, state.drv_prog_id, state.skb_prog_id, state.hw_prog_id})
		if (id)
			return program_name(id);
	return "";
}

std::unique_ptr<Attachment> Attachment::attach(const std::string &interface, int program_fd, XdpMode mode,
                                               std::string *problem)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flag_of(mode));
	std::unique_ptr<Attachment> attachment(new Attachment);

	attachment->interface_ = interface;
	attachment->mode_ = mode;
	attachment->ifindex_ = if_nametoindex(interface.c_str());
	if (!attachment->ifindex_) {
		*problem = "there is no interface " + interface;
		return nullptr;
	}
	std::string holder = hook_holder(attachment->ifindex_);
	if (!holder.empty()) {
		*problem = "the XDP hook of " + interface + " is held by " + holder;
		return nullptr;
	}
	attachment->fd_ = bpf_link_create(program_fd, (int)attachment->ifindex_, BPF_XDP, &options);
	if (attachment->fd_ >= 0)
		return attachment;
	int error = errno;
	if (error == EOPNOTSUPP || error == EINVAL)
		*problem = interface + "'s driver takes no " + xdp_mode_name(mode) + " XDP program" +
		           (error == EINVAL ? " as it is set up (its MTU or its queues, say)" : "");
	else
		*problem = kernel_problem("no " + std::string(xdp_mode_name(mode)) +
		                                  " XDP program can be attached to " + interface,
		                          error);
	return nullptr;
}

std::unique_ptr<Attachment> Attachment::adopt(const std::string &interface, const std::string &pin, XdpMode mode)
{
	std::unique_ptr<Attachment> attachment(new Attachment);
	struct bpf_xdp_query_opts state;
	struct bpf_link_info info = {};
	u32 length = sizeof(info);

	attachment->interface_ = interface;
	attachment->mode_ = mode;
	attachment->ifindex_ = if_nametoindex(interface.c_str());
	attachment->fd_ = bpf_obj_get(pin.c_str());
	if (attachment->fd_ < 0)
		return nullptr;
	// An interface that was made anew has another number, and the old link hangs on nothing.
	if (bpf_obj_get_info_by_fd(attachment->fd_, &info, &length) || info.type != BPF_LINK_TYPE_XDP ||
	    info.xdp.ifindex != attachment->ifindex_ || !query(attachment->ifindex_, &state))
		return nullptr;
	if (mode == XdpMode::native ? !state.drv_prog_id : !state.skb_prog_id)
		return nullptr;
	attachment->pin_ = pin;
	return attachment;
}

std::optional<XdpMode> Attachment::pinned_mode(const std::string &interface, const std::string &pin)
{
	for (XdpMode mode : {XdpMode::native, XdpMode::generic})
		if (adopt(interface, pin, mode))
			return mode;
	return std::nullopt;
}

bool Attachment::attached() const
{
	struct bpf_link_info info = {};
	u32 length = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd_, &info, &length) && info.xdp.ifindex == ifindex_;
}

void Attachment::remove(const std::string &pin)
{
	int fd = bpf_obj_get(pin.c_str());

	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlink(pin.c_str());
}

Attachment::~Attachment()
{
	if (fd_ >= 0)
		close(fd_);
}

bool Attachment::replace(int program_fd, std::string *problem)
{
	if (bpf_link_update(fd_, program_fd, nullptr) == 0)
		return true;
	*problem = kernel_problem("the program on " + interface_ + " can't be replaced", errno);
	return false;
}

bool Attachment::pin(const std::string &path, std::string *problem)
{
	if (pin_ == path)
		return true;
	unlink(path.c_str()); // of a link that could not be adopted
	if (bpf_obj_pin(fd_, path.c_str()) == 0) {
		pin_ = path;
		return true;
	}
	*problem = kernel_problem(path + " can't be pinned", errno);
	return false;
}

void Attachment::detach()
{
	if (fd_ < 0)
		return;
	bpf_link_detach(fd_);
	if (!pin_.empty())
		unlink(pin_.c_str());
	close(fd_);
	fd_ = -1;
}

} // namespace shunt
