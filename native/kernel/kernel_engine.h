// SPDX-License-Identifier: Apache-2.0
//
// kernel_engine.h - the kernel's engine: the packet program in XDP, on one or several interfaces.
//
// Owns: the program in force and its attachments, the memory they share with the next daemon, and the order of a take-over:
// load a new program over the old sessions, publish its tables, then exchange it at each interface, between two packets.
// Must never: detach the program of an earlier daemon before the new one is in its place.
#ifndef SHUNT_KERNEL_KERNEL_ENGINE_H
#define SHUNT_KERNEL_KERNEL_ENGINE_H

#include "engine/engine.h"
#include "kernel/attachment.h"
#include "kernel/kernel_program.h"
#include "kernel/oversized.h"
#include "kernel/sent_filter.h"
#include "kernel/watch.h"

namespace shunt
{

struct KernelEngineOptions {
	u64 sessions4 = 1 << 20, sessions6 = 1 << 18, fragments = 1 << 12; // records
	std::vector<std::string> interfaces;
	XdpMode mode = XdpMode::native;
	std::string pins;        // folder in a BPF file system; empty: everything ends with the engine
	bool sent = false;       // a backend: egress packets refresh sessions as well
	bool fresh = false;      // adopt no sessions of an earlier daemon: the ids in them are no longer known
	std::string object_file; // empty: the program that this addon carries
	MakeFragmentSender make_fragment_sender = nullptr; // null: datagrams that do not fit are not fragmented
};

// The pin of an interface's attachment. A BPF file system allows no dots in names; an interface's may have one.
inline std::string link_pin(const std::string &pins, std::string interface)
{
	for (char &c : interface)
		c = c == '.' ? '+' : c;
	return pins + "/link-" + interface;
}

class KernelEngine final : public Engine
{
public:
	// Loads the program; nothing is attached yet.
	static Result<std::unique_ptr<KernelEngine>> create(KernelEngineOptions options);
	~KernelEngine() override = default; // pinned attachments stay

	// Loads a larger program if the tables outgrow their maps.
	Result<std::unique_ptr<PreparedTables>> prepare(const TableSpec &spec) override;
	Status commit(std::unique_ptr<PreparedTables> tables, std::vector<std::string> *warnings) override;
	// Attaches to every interface, or takes over the pinned attachments. If it fails, nothing is attached.
	Status start() override;
	// Detaches everywhere and removes the pins.
	void stop() override;
	const TableBlock *current() const override { return block_.get(); }

	// Sessions of an earlier daemon have been adopted.
	bool adopted() const { return adopted_; }
	u32 program_id() const { return program_->id(); }
	// Why packets that a driver does not transmit are not counted; empty: they are.
	const std::string &unwatched() const { return unwatched_; }
	// For measurements.
	Status pin_program(const std::string &path) const { return program_->pin(path); }
	// Why egress session refresh is disabled although KernelEngineOptions::sent is set; empty: it is enabled.
	const std::string &unsent() const { return unsent_; }
	const std::vector<std::unique_ptr<Attachment>> &attachments() const { return attachments_; }

private:
	KernelEngine() = default;
	Status open();
	Status attach_all();
	Status attach(const std::string &interface);
	Result<std::unique_ptr<Attachment>> adopt_or_attach(const std::string &interface);
	void attach_sent();
	void start_watch();
	Status exchange(std::unique_ptr<KernelProgram> larger);
	void read_oversized();
	void open_fragment_links(const TableBlock &block);

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
	std::unique_ptr<FragmentSender> fragment_sender_;
	std::unique_ptr<Oversized> oversized_; // of program_
	std::unique_ptr<Watch> watch_;
	std::string unwatched_;
	bool adopted_ = false;
};

} // namespace shunt

#endif
