// SPDX-License-Identifier: Apache-2.0
//
// distinct.h - how many different things there were among many, in 4 KiB: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier
// 2007), with linear counting for small numbers (Whang, Vander-Zanden, Taylor 1990).
//
// Each thing is a hash of 64 bits. The first 12 name a register, which keeps the longest run of zeros that the rest of any
// of its hashes began with. 4096 registers: the standard error is 1.04 / sqrt(4096) = 1.6 %, and less below some 10,000.
//
// Owns: the registers, and the estimate.
// Must never: be fed a hash that who sends packets can foretell: he could make it count anything.
#ifndef SHUNT_ENGINE_DISTINCT_H
#define SHUNT_ENGINE_DISTINCT_H

#include <bit>
#include <cmath>

#include "packet/types.h"

namespace shunt
{

class Distinct
{
public:
	void add(u64 hash)
	{
		u8 &longest = registers_[hash >> (64 - BITS)];
		// One more than the zeros; the bit set below keeps an empty rest within its 52.
		u8 run = (u8)(std::countl_zero(hash << BITS | 1ull << (BITS - 1)) + 1);

		if (run <= longest)
			return;
		having_[longest]--;
		having_[run]++;
		longest = run;
	}

	u32 count() const
	{
		double sum = 0;

		for (u32 run = 0; run < RUNS; run++)
			sum += std::ldexp((double)having_[run], -(int)run);
		double estimate = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / sum;
		if (estimate <= 2.5 * REGISTERS && having_[0])
			estimate = REGISTERS * std::log((double)REGISTERS / having_[0]);
		return estimate < 4294967295.0 ? (u32)(estimate + 0.5) : 0xffffffffu;
	}

private:
	static constexpr u32 BITS = 12, REGISTERS = 1 << BITS, RUNS = 64 - BITS + 2;

	u8 registers_[REGISTERS] = {};
	u32 having_[RUNS] = {REGISTERS}; // registers of each run, so that an estimate need not walk them
};

} // namespace shunt

#endif
