// SPDX-License-Identifier: Apache-2.0
//
// kernel_engine.h - the kernel's engine: the packet program in XDP, on one or several interfaces.
//
// Owns: the program in force and its attachments, the memory they share with the next daemon, and the order of a take-over:
// load a new program over the old sessions, publish its tables, then swap it in at each interface, between two packets.
// Must never: detach what an earlier daemon left before the new program stands in its place.
#ifndef SHUNT_KERNEL_KERNEL_ENGINE_H
#define SHUNT_KERNEL_KERNEL_ENGINE_H

#include "engine/engine.h"
#include "kernel/attachment.h"
#include "kernel/kernel_program.h"
#include "kernel/sent_filter.h"
#include "kernel/watch.h"

namespace shunt
{

struct KernelEngineOptions {
	u64 sessions4 = 1 << 20, sessions6 = 1 << 18, fragments = 1 << 12; // records
	std::vector<std::string> interfaces;
	XdpMode mode = XdpMode::native;
	std::string pins;        // folder in a BPF file system; empty: everything ends with the engine
	bool sent = false;       // a backend: what leaves by the interfaces keeps sessions alive, too
	bool fresh = false;      // take up no sessions of an earlier daemon: nobody knows any more what they name
	std::string object_file; // empty: the program that this addon carries
};

// Where the attachment of an interface is pinned. A BPF file system takes no dots in names; an interface's may have one.
inline std::string link_pin(const std::string &pins, std::string interface)
{
	for (char &c : interface)
		c = c == '.' ? '+' : c;
	return pins + "/link-" + interface;
}

class KernelEngine final : public Engine
{
public:
	// Loads the program; nothing is attached yet. NULL and one sentence.
	static std::unique_ptr<KernelEngine> create(KernelEngineOptions options, std::string *problem);
	~KernelEngine() override = default; // what is pinned goes on

	bool publish(const TableSpec &spec, std::string *problem, std::vector<std::string> *warnings) override;
	// Attaches to every interface, or takes over what is pinned there. At a refusal nothing is attached.
	bool start(std::string *problem) override;
	// Detaches everywhere and removes the pins.
	void stop() override;
	const TableBlock *current() const override { return block_.get(); }

	// Sessions of an earlier daemon have been taken up.
	bool adopted() const { return adopted_; }
	u32 program_id() const { return program_->id(); }
	// Why packets that a driver does not take are not counted; empty: they are.
	const std::string &unwatched() const { return unwatched_; }
	// For whoever measures it.
	bool pin_program(const std::string &path, std::string *problem) const { return program_->pin(path, problem); }
	// Why what this host sends keeps no session alive though it was asked for; empty: it does.
	const std::string &unsent() const { return unsent_; }
	const std::vector<std::unique_ptr<Attachment>> &attachments() const { return attachments_; }

private:
	KernelEngine() = default;
	bool open(std::string *problem);
	void attach_sent();
	bool attach(const std::string &interface, std::string *problem);
	bool regrow(const sh_tables &tables, std::string *problem);

	KernelEngineOptions options_;
	KernelProgramOptions program_options_;
	KernelMemory memory_;
	// Of an earlier daemon with tables of other sizes: its sessions are copied into ours.
	std::unique_ptr<KernelMemory> earlier_;
	std::unique_ptr<KernelProgram> program_;
	std::unique_ptr<TableBlock> block_;
	std::vector<std::unique_ptr<Attachment>> attachments_;
	std::vector<std::unique_ptr<SentFilter>> sent_filters_;
	std::string unsent_;
	std::unique_ptr<Watch> watch_;
	std::string unwatched_; // why there is none
	bool adopted_ = false;
};

} // namespace shunt

#endif
