// SPDX-License-Identifier: Apache-2.0
//
// attachment.cc - see the header.
#include "kernel/attachment.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "kernel/libbpf_warnings.h"
#include "kernel/running_program.h"

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

static bool query(u32 ifindex, struct bpf_xdp_query_opts *state)
{
	*state = {};
	state->sz = sizeof(*state);
	return bpf_xdp_query((int)ifindex, 0, state) == 0;
}

// Why the driver refuses the program. A link's creation returns errno alone; the same request by netlink, which must fail for
// the same reason, returns the driver's own sentence (extended acknowledgement), which libbpf prints. Empty if it has none.
static std::string driver_sentence(u32 ifindex, int program_fd, XdpMode mode)
{
	constexpr const char *PREFIX = "Kernel error message: ";
	u32 flags = flag_of(mode);

	begin_libbpf_warnings();
	if (!bpf_xdp_attach((int)ifindex, program_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr))
		bpf_xdp_detach((int)ifindex, flags, nullptr);
	size_t begin = libbpf_warnings().find(PREFIX);
	if (begin == std::string::npos)
		return "";
	std::string sentence = libbpf_warnings().substr(begin + strlen(PREFIX));
	sentence.resize(std::min(sentence.find('\n'), sentence.size()));
	return sentence.substr(0, sentence.find_last_not_of(" .") + 1);
}

Result<std::unique_ptr<Attachment>> Attachment::attach(const std::string &interface, int program_fd, XdpMode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flag_of(mode));
	std::unique_ptr<Attachment> attachment(new Attachment);

	attachment->interface_ = interface;
	attachment->mode_ = mode;
	attachment->ifindex_ = if_nametoindex(interface.c_str());
	if (!attachment->ifindex_)
		return Status::error("there is no interface named " + interface);
	if (RunningProgram holder = xdp_program_on(attachment->ifindex_); holder.id)
		return Status::error("the XDP hook of " + interface + " is held by " + holder.description());
	attachment->link_ = Descriptor(bpf_link_create(program_fd, (int)attachment->ifindex_, BPF_XDP, &options));
	if (attachment->link_.is_open())
		return attachment;
	int error = errno;
	std::string why = driver_sentence(attachment->ifindex_, program_fd, mode);
	if (error == EOPNOTSUPP || error == EINVAL || !why.empty()) {
		if (why.empty() && error == EINVAL)
			why = "it names no reason; its present MTU, queues or offloads do not allow one";
		return Status::error(interface + ": its driver accepts no " + xdp_mode_name(mode) + " XDP program" +
		                     (why.empty() ? "" : ": " + why));
	}
	return Status::system(std::string(xdp_mode_name(mode)) + " XDP program on " + interface, error);
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
	attachment->link_ = Descriptor(bpf_obj_get(pin.c_str()));
	if (!attachment->link_.is_open())
		return nullptr;
	// An interface that was deleted and created again has another index, and the old link is attached to none.
	if (bpf_obj_get_info_by_fd(attachment->link_.get(), &info, &length) || info.type != BPF_LINK_TYPE_XDP ||
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

	return !bpf_obj_get_info_by_fd(link_.get(), &info, &length) && info.xdp.ifindex == ifindex_;
}

void Attachment::remove(const std::string &pin)
{
	Descriptor link(bpf_obj_get(pin.c_str()));

	if (link.is_open())
		bpf_link_detach(link.get());
	unlink(pin.c_str());
}

Status Attachment::replace(int program_fd)
{
	if (bpf_link_update(link_.get(), program_fd, nullptr))
		return Status::system("the XDP program on " + interface_ + " cannot be replaced", errno);
	return {};
}

Status Attachment::pin(const std::string &path)
{
	if (pin_ == path)
		return {};
	unlink(path.c_str()); // of a link that could not be adopted
	if (bpf_obj_pin(link_.get(), path.c_str()))
		return Status::system(path + " cannot be pinned", errno);
	pin_ = path;
	return {};
}

void Attachment::detach()
{
	if (!link_.is_open())
		return;
	bpf_link_detach(link_.get());
	if (!pin_.empty())
		unlink(pin_.c_str());
	link_.reset();
}

} // namespace shunt
