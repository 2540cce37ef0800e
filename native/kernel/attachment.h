// SPDX-License-Identifier: Apache-2.0
//
// attachment.h - a program on the XDP hook of one interface.
//
// Owns: the link between them, its pin, and the sentence that says who else holds the hook.
// Must never: take the hook from somebody else.
#ifndef SHUNT_KERNEL_ATTACHMENT_H
#define SHUNT_KERNEL_ATTACHMENT_H

#include <memory>
#include <optional>
#include <string>

#include "datapath/types.h"

namespace shunt
{

enum class XdpMode {
	native, // in the driver, before the kernel makes a packet of its own of it
	generic // in the kernel's receive path; any interface can
};

const char *xdp_mode_name(XdpMode mode);

class Attachment
{
public:
	// NULL, and one sentence: the driver can't, or somebody holds the hook.
	static std::unique_ptr<Attachment> attach(const std::string &interface, int program_fd, XdpMode mode,
	                                          std::string *problem);
	// The attachment that an earlier daemon has pinned here, if it is one of this interface and in this mode.
	static std::unique_ptr<Attachment> adopt(const std::string &interface, const std::string &pin, XdpMode mode);
	// The mode of the attachment that is pinned here, if it is one of this interface.
	static std::optional<XdpMode> pinned_mode(const std::string &interface, const std::string &pin);
	// Takes away what is pinned here, whatever it is attached to.
	static void remove(const std::string &pin);
	// What the attachment lives on is the pin, if there is one; else it ends with this object.
	~Attachment();
	Attachment(const Attachment &) = delete;

	// Another program in place of this one, between two packets.
	bool replace(int program_fd, std::string *problem);
	bool pin(const std::string &path, std::string *problem);
	// Ends it now, pinned or not.
	void detach();

	// False once the interface is gone, or the program was taken off it by force.
	bool attached() const;
	const std::string &interface() const { return interface_; }
	u32 ifindex() const { return ifindex_; }
	XdpMode mode() const { return mode_; }

private:
	Attachment() = default;

	std::string interface_;
	std::string pin_;
	u32 ifindex_ = 0;
	XdpMode mode_ = XdpMode::native;
	int fd_ = -1;
};

// "program xdp_pass (id 12)", or "" if the hook is free.
std::string hook_holder(u32 ifindex);

} // namespace shunt

#endif
