// SPDX-License-Identifier: Apache-2.0
//
// attachment.h - a program on the XDP hook of one interface.
//
// Owns: the link between them, its pin, and the message that names the program that holds the hook.
// Must never: replace a program that is not ours.
#ifndef SHUNT_KERNEL_ATTACHMENT_H
#define SHUNT_KERNEL_ATTACHMENT_H

#include <memory>
#include <optional>
#include <string>

#include "datapath/types.h"
#include "linux/descriptor.h"
#include "linux/status.h"

namespace shunt
{

enum class XdpMode {
	native, // in the driver, before the kernel allocates an skb
	generic // in the kernel's receive path; every interface supports it
};

const char *xdp_mode_name(XdpMode mode);

class Attachment
{
public:
	// Fails if the driver does not support the mode, or another program holds the hook.
	static Result<std::unique_ptr<Attachment>> attach(const std::string &interface, int program_fd, XdpMode mode);
	// The attachment that an earlier daemon has pinned at `pin`, if it is one of this interface and in this mode; else NULL.
	static std::unique_ptr<Attachment> adopt(const std::string &interface, const std::string &pin, XdpMode mode);
	// The mode of the attachment that is pinned at `pin`, if it is one of this interface.
	static std::optional<XdpMode> pinned_mode(const std::string &interface, const std::string &pin);
	// Detaches and unpins the link at `pin`, whatever it is attached to.
	static void remove(const std::string &pin);
	// The pin keeps the attachment; without one it ends with this object.
	~Attachment() = default;
	Attachment(const Attachment &) = delete;

	// Exchanges the program, between two packets.
	Status replace(int program_fd);
	Status pin(const std::string &path);
	// Ends the attachment, pinned or not.
	void detach();

	// False once the interface is gone, or the program was detached by force.
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
	Descriptor link_;
};

} // namespace shunt

#endif
