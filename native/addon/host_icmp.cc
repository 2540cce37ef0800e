// SPDX-License-Identifier: Apache-2.0
//
// host_icmp.cc - IcmpErrors of the addon: the errors "destination unreachable" that this network namespace receives.
//
// Owns: the translation of linux/icmp_errors.h.
// Must never: wait for an error; the caller asks from time to time.
#include "addon/failure.h"
#include "addon/fields.h"
#include "linux/icmp_errors.h"

namespace shunt
{

namespace
{

class IcmpErrorsObject : public Napi::ObjectWrap<IcmpErrorsObject>
{
public:
	explicit IcmpErrorsObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<IcmpErrorsObject>(info)
	{
		Result<IcmpErrors> errors = IcmpErrors::open();

		if (errors.ok())
			errors_ = errors.take();
		else
			throw_failure(info.Env(), errors.status());
	}

	Napi::Value read(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		std::vector<IcmpError> errors = errors_.read();
		Napi::Array list = Napi::Array::New(env, errors.size());
		auto address = [env](const IpAddress &one) {
			return Napi::Buffer<u8>::Copy(env, one.bytes.data(), one.bytes.size());
		};

		for (u32 i = 0; i < errors.size(); i++) {
			Napi::Object one = Napi::Object::New(env);

			one.Set("reporter", address(errors[i].reporter));
			one.Set("code", errors[i].code);
			one.Set("source", address(errors[i].source));
			one.Set("destination", address(errors[i].destination));
			one.Set("destinationPort", errors[i].destination_port);
			list.Set(i, one);
		}
		return list;
	}

	void close(const Napi::CallbackInfo &) { errors_ = IcmpErrors(); }

private:
	IcmpErrors errors_;
};

} // namespace

Napi::Function icmp_errors_class(Napi::Env env)
{
	using E = IcmpErrorsObject;

	return E::DefineClass(env, "IcmpErrors",
	                      {
				      E::InstanceMethod("read", &E::read),
				      E::InstanceMethod("close", &E::close),
			      });
}

} // namespace shunt
