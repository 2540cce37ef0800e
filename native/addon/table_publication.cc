// SPDX-License-Identifier: Apache-2.0
//
// table_publication.cc - see the header.
#include "addon/table_publication.h"

#include "addon/failure.h"
#include "addon/table_set.h"
#include "engine/packed_tables.h"

namespace shunt
{

Napi::Array warning_list(Napi::Env env, const std::vector<std::string> &warnings)
{
	Napi::Array list = Napi::Array::New(env, warnings.size());

	for (u32 i = 0; i < warnings.size(); i++)
		list.Set(i, warnings[i]);
	return list;
}

TablePublication::TablePublication(const Napi::Object &object, Engine *engine, std::function<void()> over)
    : Napi::AsyncWorker(object.Env(), "shunt tables"), engine_(engine), over_(std::move(over)),
      object_(Napi::Persistent(object)), deferred_(Napi::Promise::Deferred::New(object.Env()))
{
}

TablePublication::List TablePublication::list(const Fields &packed, const char *name, size_t entry)
{
	Napi::Value value = packed.get(name);

	if (value.IsEmpty() || !value.IsBuffer() || value.As<Napi::Buffer<u8>>().Length() % entry != 0) {
		packed.complain(name, "must be a Buffer of whole entries");
		return {};
	}
	return {value.As<Napi::Buffer<u8>>().Data(), value.As<Napi::Buffer<u8>>().Length()};
}

void TablePublication::read(const Fields &set, const Fields &packed)
{
	spec_ = read_table_set(set);
	services_ = list(packed, "services", PACKED_SERVICE);
	rules_ = list(packed, "rules", PACKED_RULE);
	targets_ = list(packed, "targets", PACKED_TARGET);
	if (Fields::problem().empty())
		packed_ = Napi::Persistent(packed.object());
}

void TablePublication::Execute()
{
	for (size_t at = 0; at < services_.length; at += PACKED_SERVICE)
		spec_.services.push_back(unpack_service(services_.data + at));
	for (size_t at = 0; at < rules_.length; at += PACKED_RULE)
		spec_.rules.push_back(unpack_rule(rules_.data + at));
	for (size_t at = 0; at < targets_.length; at += PACKED_TARGET)
		spec_.targets.push_back(unpack_target(targets_.data + at));
	prepared_ = engine_->prepare(spec_);
}

void TablePublication::OnOK()
{
	std::vector<std::string> warnings;
	Status status = prepared_.ok() ? engine_->commit(prepared_.take(), &warnings) : prepared_.status();

	over_();
	if (status.ok())
		deferred_.Resolve(warning_list(Env(), warnings));
	else
		deferred_.Reject(error_of(Env(), status).Value());
}

} // namespace shunt
