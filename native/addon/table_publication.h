// SPDX-License-Identifier: Apache-2.0
//
// table_publication.h - one publication of tables, of which only the beginning and the swap are JavaScript's thread's.
//
// Owns: what the publication reads until it is over: the packed lists, and a reference to the engine's object.
// Must never: be begun while another publication of the same engine is under way.
#ifndef SHUNT_ADDON_TABLE_PUBLICATION_H
#define SHUNT_ADDON_TABLE_PUBLICATION_H

#include "addon/fields.h"
#include "engine/engine.h"

namespace shunt
{

Napi::Array warning_list(Napi::Env env, const std::vector<std::string> &warnings);

class TablePublication final : public Napi::AsyncWorker
{
public:
	// `over` is called when it has succeeded or failed.
	TablePublication(const Napi::Object &object, Engine *engine, std::function<void()> over);

	// The set without its long lists, and these as buffers that do not change until it is over. What does not fit is left
	// in Fields::problem().
	void read(const Fields &set, const Fields &packed);
	// The promise of its warnings.
	Napi::Promise promise() const { return deferred_.Promise(); }

protected:
	void Execute() override;
	void OnOK() override;

private:
	struct List {
		const u8 *data = nullptr;
		size_t length = 0;
	};

	List list(const Fields &packed, const char *name, size_t entry);

	Engine *engine_;
	std::function<void()> over_;
	Napi::ObjectReference object_, packed_; // alive until it is over
	Napi::Promise::Deferred deferred_;
	TableSpec spec_;
	List services_, rules_, targets_;
	Result<std::unique_ptr<PreparedTables>> prepared_ = Status::error("nothing is prepared");
};

} // namespace shunt

#endif
