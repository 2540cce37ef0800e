// SPDX-License-Identifier: Apache-2.0
//
// distinct.h - how many distinct items a stream had, in 4 KiB: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier
// 2007), read by Ertl's estimator (New cardinality estimation algorithms for HyperLogLog sketches, 2017, algorithm 6): where
// few registers are hit it is linear counting, and it has no bias in the range where the original estimator's is 1.7 %.
//
// Each item is a hash of 64 bits. The first 12 select a register, which keeps the longest run of zeros that the rest of any
// of its hashes began with. 4096 registers: the standard error is 1.04 / sqrt(4096) = 1.6 %, and less for small numbers.
//
// Owns: the registers, and the estimate.
// Must never: be given a hash that a sender of packets can predict: it could set the count at will.
#ifndef SHUNT_ENGINE_DISTINCT_H
#define SHUNT_ENGINE_DISTINCT_H

#include <bit>
#include <cmath>

#include "datapath/types.h"

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
		double z = REGISTERS * tau(1 - (double)having_[RUNS - 1] / REGISTERS);

		if (having_[0] == REGISTERS)
			return 0;
		for (u32 run = RUNS - 2; run >= 1; run--)
			z = 0.5 * (z + having_[run]);
		z += REGISTERS * sigma((double)having_[0] / REGISTERS);
		double estimate = (double)REGISTERS * REGISTERS / (2 * M_LN2 * z);
		return estimate < 4294967295.0 ? (u32)std::llround(estimate) : 0xffffffffu;
	}

private:
	// Corrections for empty registers (x < 1), and for those at their longest run (x from 0 to 1).
	static double sigma(double x)
	{
		double y = 1, z = x, before;

		do {
			x *= x;
			before = z;
			z += x * y;
			y += y;
		} while (z != before);
		return z;
	}
	static double tau(double x)
	{
		double y = 1, z = 1 - x, before;

		if (x == 0 || x == 1)
			return 0;
		do {
			x = std::sqrt(x);
			before = z;
			y *= 0.5;
			z -= (1 - x) * (1 - x) * y;
		} while (z != before);
		return z / 3;
	}

	static constexpr u32 BITS = 12, REGISTERS = 1 << BITS, RUNS = 64 - BITS + 2;

	u8 registers_[REGISTERS] = {};
	u32 having_[RUNS] = {REGISTERS}; // number of registers of each run, so that an estimate need not walk them
};

} // namespace shunt

#endif
