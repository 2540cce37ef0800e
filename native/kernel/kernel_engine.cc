// SPDX-License-Identifier: Apache-2.0
//
// kernel_engine.cc - see the header.
#include "kernel/kernel_engine.h"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace shunt
{

// Fits the tables of an ordinary cluster, so that the first set needs no second load.
static const TableCapacity FIRST_CAPACITY = {256, 1024, 1024, 1024, 8192, 1024};

Result<std::unique_ptr<KernelEngine>> KernelEngine::create(KernelEngineOptions options)
{
	std::unique_ptr<KernelEngine> engine(new KernelEngine);

	engine->options_ = std::move(options);
	if (Status status = engine->open(); !status.ok())
		return status;
	return engine;
}

// A folder that others can write to, or a link, could have this engine adopt another user's maps.
static Status make_own_folder(const std::string &path)
{
	struct stat found = {};

	if (mkdir(path.c_str(), 0700) && errno != EEXIST)
		return Status::system(path + " cannot be created", errno);
	if (lstat(path.c_str(), &found))
		return Status::system(path + " cannot be read", errno);
	if (!S_ISDIR(found.st_mode) || found.st_uid != geteuid() || found.st_mode & 077)
		return Status::error(path + " is not a folder of this user alone (mode 0700); remove it");
	return {};
}

Status KernelEngine::open()
{
	SessionGeometry geometry = Sessions::geometry_for(options_.sessions4, options_.sessions6, options_.fragments);

	program_options_.object_file = options_.object_file;
	program_options_.geometry = geometry;
	program_options_.sent = options_.sent;
	if (!options_.pins.empty()) {
		if (Status status = make_own_folder(options_.pins); !status.ok())
			return status;
		adopted_ = !options_.fresh && memory_.adopt(options_.pins);
	}
	if (adopted_ && memory_.geometry() != geometry) {
		earlier_ = std::make_unique<KernelMemory>();
		earlier_->swap(memory_);
	}
	auto program = KernelProgram::load(program_options_, FIRST_CAPACITY, &memory_);
	if (!program.ok())
		return program.status();
	program_ = program.take();
	return memory_.map(&sessions_, statistics_.get());
}

namespace
{

struct KernelTables final : PreparedTables {
	std::unique_ptr<KernelProgram> larger; // for tables that outgrow their maps: over the same sessions
};

} // namespace

Result<std::unique_ptr<PreparedTables>> KernelEngine::prepare(const TableSpec &spec)
{
	auto built = TableBlock::build(spec, memory_.geometry());

	if (!built.ok())
		return built.status();
	auto prepared = std::make_unique<KernelTables>();
	prepared->block = built.take();
	const sh_tables &tables = *prepared->block->tables();
	if (program_->holds(tables)) {
		program_->fill(tables);
		return std::unique_ptr<PreparedTables>(std::move(prepared));
	}
	auto loaded = KernelProgram::load(program_options_, TableCapacity::of(tables), &memory_);
	if (!loaded.ok())
		return loaded.status();
	prepared->larger = loaded.take();
	prepared->larger->fill(tables);
	return std::unique_ptr<PreparedTables>(std::move(prepared));
}

// The new program replaces the old one at each interface, between two packets.
Status KernelEngine::exchange(std::unique_ptr<KernelProgram> larger)
{
	larger->swap();
	for (auto &attachment : attachments_)
		if (Status status = attachment->replace(larger->fd()); !status.ok())
			return status;
	for (auto &filter : sent_filters_)
		if (Status status = filter->replace(larger->sent_fd()); !status.ok())
			return status;
	program_ = std::move(larger);
	if (oversized_)
		read_oversized();
	if (watch_)
		watch_->set_program(program_->id());
	return {};
}

Status KernelEngine::commit(std::unique_ptr<PreparedTables> tables, std::vector<std::string> *)
{
	std::unique_ptr<KernelProgram> larger = std::move(static_cast<KernelTables &>(*tables).larger);

	open_fragment_links(*tables->block);
	if (!larger)
		program_->swap();
	else if (Status status = exchange(std::move(larger)); !status.ok())
		return status;
	if (oversized_)
		oversized_->publish(tables->block->tables());
	block_ = std::move(tables->block);
	return {};
}

// A link that cannot be opened is one on which no fragment is sent; the engine's start or the driver's refusal names it.
void KernelEngine::open_fragment_links(const TableBlock &block)
{
	if (!fragment_sender_ && options_.make_fragment_sender)
		fragment_sender_ = options_.make_fragment_sender(sessions_, nullptr);
	for (u32 link : block.links())
		if (fragment_sender_)
			(void)fragment_sender_->open_link(link);
}

// Without the buffers the program answers such datagrams by packet-too-big.
void KernelEngine::read_oversized()
{
	oversized_.reset();
	if (!fragment_sender_)
		return;
	auto opened = Oversized::open(program_->object().map_fd("sh_oversized"), fragment_sender_.get());
	if (!opened.ok())
		return;
	oversized_ = opened.take();
	if (block_)
		oversized_->publish(block_->tables());
	oversized_->start();
}

Result<std::unique_ptr<Attachment>> KernelEngine::adopt_or_attach(const std::string &interface)
{
	if (!options_.pins.empty()) {
		std::string pin = link_pin(options_.pins, interface);
		std::unique_ptr<Attachment> adopted = Attachment::adopt(interface, pin, options_.mode);

		if (adopted && adopted->replace(program_->fd()).ok())
			return adopted;
		Attachment::remove(pin); // in another mode, or of an interface that is gone
	}
	return Attachment::attach(interface, program_->fd(), options_.mode);
}

Status KernelEngine::attach(const std::string &interface)
{
	auto attachment = adopt_or_attach(interface);

	if (!attachment.ok())
		return attachment.status();
	if (!options_.pins.empty())
		if (Status status = (*attachment)->pin(link_pin(options_.pins, interface)); !status.ok())
			return status;
	attachments_.push_back(attachment.take());
	return {};
}

Status KernelEngine::attach_all()
{
	for (const std::string &interface : options_.interfaces)
		if (Status status = attach(interface); !status.ok()) {
			for (auto &attachment : attachments_)
				attachment->detach();
			attachments_.clear();
			return status;
		}
	return {};
}

// A backend works without the filters: then egress session refresh is disabled, and unsent() says why.
void KernelEngine::attach_sent()
{
	if (adopted_)
		SentFilter::remove_others(options_.interfaces,
		                          earlier_ ? earlier_->counters_fd() : memory_.counters_fd());
	for (const std::string &interface : options_.interfaces) {
		if (options_.sent) {
			auto filter = SentFilter::attach(interface, program_->sent_fd());

			if (filter.ok()) {
				sent_filters_.push_back(filter.take());
				continue;
			}
			if (unsent_.empty())
				unsent_ = filter.status().message();
		}
		SentFilter::remove(interface); // an earlier daemon's, over tables that are no longer published
	}
}

void KernelEngine::start_watch()
{
	std::vector<u32> links;

	for (auto &attachment : attachments_)
		links.push_back(attachment->ifindex());
	auto watch = Watch::start(memory_.counters_fd(), memory_.counters(), program_->id(), links);
	if (watch.ok())
		watch_ = watch.take();
	else
		unwatched_ = watch.status().message();
}

Status KernelEngine::start()
{
	Sessions old;
	Statistics unused;

	if (!block_)
		return Status::error("the engine has no tables yet; publish them before start");
	// Copies the old sessions before the new program runs, and again those made until it took over.
	if (earlier_) {
		if (Status status = earlier_->map(&old, &unused); !status.ok())
			return status;
		copy_sessions(old, sessions_, *tables());
	}
	if (Status status = attach_all(); !status.ok())
		return status;
	attach_sent();
	if (earlier_) {
		wait_for_packets();
		copy_sessions(old, sessions_, *tables());
		earlier_.reset();
	}
	start_watch();
	read_oversized();
	return options_.pins.empty() ? Status() : memory_.pin(options_.pins);
}

void KernelEngine::stop()
{
	watch_.reset();
	oversized_.reset();
	for (auto &attachment : attachments_)
		attachment->detach();
	attachments_.clear();
	for (auto &filter : sent_filters_)
		filter->detach();
	sent_filters_.clear();
	if (options_.pins.empty())
		return;
	KernelMemory::unpin(options_.pins);
	rmdir(options_.pins.c_str());
}

} // namespace shunt
