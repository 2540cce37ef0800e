// SPDX-License-Identifier: Apache-2.0
//
// kernel_engine.cc - see the header.
#include "kernel/kernel_engine.h"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace shunt
{

// What the tables of an ordinary cluster fit in, so that the first set needs no second load.
static const TableCapacity FIRST_CAPACITY = {256, 1024, 1024, 1024, 8192, 1024};

std::unique_ptr<KernelEngine> KernelEngine::create(KernelEngineOptions options, std::string *problem)
{
	std::unique_ptr<KernelEngine> engine(new KernelEngine);

	engine->options_ = std::move(options);
	if (!engine->open(problem))
		return nullptr;
	return engine;
}

bool KernelEngine::open(std::string *problem)
{
	SessionGeometry wanted = Sessions::geometry_for(options_.sessions4, options_.sessions6, options_.fragments);

	program_options_.object_file = options_.object_file;
	program_options_.geometry = wanted;
	program_options_.sent = options_.sent;
	if (!options_.pins.empty()) {
		if (mkdir(options_.pins.c_str(), 0700) && errno != EEXIST) {
			*problem = kernel_problem(options_.pins + " can't be made", errno);
			return false;
		}
		adopted_ = !options_.fresh && memory_.adopt(options_.pins);
	}
	if (adopted_ &&
	    (memory_.geometry().buckets4 != wanted.buckets4 || memory_.geometry().buckets6 != wanted.buckets6 ||
	     memory_.geometry().fragments != wanted.fragments)) {
		earlier_.reset(new KernelMemory);
		earlier_->swap(memory_);
	}
	program_ = KernelProgram::load(program_options_, FIRST_CAPACITY, &memory_, problem);
	return program_ && memory_.lend(&sessions_, statistics_.get(), problem);
}

// Tables that outgrow their maps: a new program with larger ones, over the same sessions, takes the old one's place.
bool KernelEngine::regrow(const sh_tables &tables, std::string *problem)
{
	std::unique_ptr<KernelProgram> larger =
		KernelProgram::load(program_options_, TableCapacity::of(tables), &memory_, problem);

	if (!larger)
		return false;
	larger->publish(tables);
	for (auto &attachment : attachments_)
		if (!attachment->replace(larger->fd(), problem))
			return false;
	for (auto &filter : sent_filters_)
		if (!filter->replace(larger->sent_fd(), problem))
			return false;
	program_ = std::move(larger);
	if (watch_)
		watch_->set_program(program_->id());
	return true;
}

bool KernelEngine::publish(const TableSpec &spec, std::string *problem, std::vector<std::string> *)
{
	Result<std::unique_ptr<TableBlock>> built = TableBlock::build(spec, memory_.geometry());

	if (!built.ok()) {
		*problem = built.status().message();
		return false;
	}
	std::unique_ptr<TableBlock> block = built.take();
	if (program_->holds(*block->tables()))
		program_->publish(*block->tables());
	else if (!regrow(*block->tables(), problem))
		return false;
	block_ = std::move(block);
	return true;
}

bool KernelEngine::attach(const std::string &interface, std::string *problem)
{
	std::unique_ptr<Attachment> attachment;

	if (!options_.pins.empty()) {
		attachment = Attachment::adopt(interface, link_pin(options_.pins, interface), options_.mode);
		if (attachment && !attachment->replace(program_->fd(), problem))
			attachment.reset();
		if (!attachment)
			Attachment::remove(link_pin(options_.pins,
			                            interface)); // in another mode, or of an interface that is no more
	}
	if (!attachment)
		attachment = Attachment::attach(interface, program_->fd(), options_.mode, problem);
	if (!attachment || (!options_.pins.empty() && !attachment->pin(link_pin(options_.pins, interface), problem)))
		return false;
	attachments_.push_back(std::move(attachment));
	return true;
}

// A backend works without: then what it sends keeps no session alive, and the operator is told.
void KernelEngine::attach_sent()
{
	if (adopted_)
		SentFilter::remove_others(options_.interfaces,
		                          earlier_ ? earlier_->counters_fd() : memory_.counters_fd());
	for (const std::string &interface : options_.interfaces) {
		std::string problem;
		std::unique_ptr<SentFilter> filter =
			options_.sent ? SentFilter::attach(interface, program_->sent_fd(), &problem) : nullptr;

		if (filter) {
			sent_filters_.push_back(std::move(filter));
			continue;
		}
		SentFilter::remove(interface); // an earlier daemon's, over tables that nobody publishes any more
		if (unsent_.empty())
			unsent_ = problem;
	}
}

bool KernelEngine::start(std::string *problem)
{
	Sessions old;
	Statistics unused;

	if (!block_) {
		*problem = "tables must be published before packets can be taken";
		return false;
	}
	// First what is there, so that the new program finds it; and again what was made until it took over.
	if (earlier_) {
		if (!earlier_->lend(&old, &unused, problem))
			return false;
		copy_sessions(old, sessions_, *tables());
	}
	for (const std::string &interface : options_.interfaces)
		if (!attach(interface, problem)) {
			for (auto &attachment : attachments_)
				attachment->detach();
			attachments_.clear();
			return false;
		}
	attach_sent();
	if (earlier_) {
		wait_for_packets();
		copy_sessions(old, sessions_, *tables());
		earlier_.reset();
	}
	std::vector<u32> links;
	for (auto &attachment : attachments_)
		links.push_back(attachment->ifindex());
	watch_ = Watch::start(memory_.counters_fd(), memory_.counters(), program_->id(), links, &unwatched_);
	return options_.pins.empty() || memory_.pin(options_.pins, problem);
}

void KernelEngine::stop()
{
	watch_.reset();
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
