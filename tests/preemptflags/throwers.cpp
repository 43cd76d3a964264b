// SPDX-License-Identifier: MIT
/*
 * throwers - see victims.h: C++ that throws, catches, unwinds through destructors and
 * rethrows. An exception that is lost shows in the result, or ends the program.
 */
#include "tests/preemptflags/victims.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

int alive;

/* Some 20 us of the program's own, for signals to come: most of the time of a throw is
 * the C++ runtime's, where nothing is stopped. */
__attribute__((noinline)) uint64_t compute(uint64_t x)
{
	for (int i = 0; i < 10000; i++)
		x = (x ^ x >> 31) * 0x9E3779B97F4A7C15u + 1;
	return x;
}

struct Counted {
	uint64_t work;

	Counted() : work(0)
	{
		alive++;
	}
	~Counted()
	{
		work = compute(static_cast<uint64_t>(alive));
		alive--;
	}
	Counted(const Counted &) = delete;
	Counted &operator=(const Counted &) = delete;
};

__attribute__((noinline)) uint64_t dive(uint64_t x, int depth)
{
	Counted here;

	if (!depth)
		throw x;
	return dive(x * 3 + 1, depth - 1) + 1;
}

uint64_t throws(uint64_t seed)
{
	uint64_t sum = 0;

	for (int i = 0; i < 4; i++) {
		try {
			sum += dive(seed + static_cast<unsigned>(i), 5);
		} catch (uint64_t x) {
			sum = sum * 31 + compute(x);
		}
	}
	return sum + static_cast<uint64_t>(alive) * 1000003 +
	       static_cast<uint64_t>(std::uncaught_exceptions());
}

uint64_t rethrows(uint64_t seed)
{
	uint64_t sum = 0;

	try {
		try {
			sum += dive(seed, 3);
		} catch (uint64_t x) {
			x = compute(x);
			try {
				throw std::runtime_error("inner");
			} catch (const std::exception &e) {
				sum += std::string(e.what()).size() + x;
			}
			throw;
		}
	} catch (uint64_t x) {
		sum = sum * 31 + compute(x);
	}
	return sum + static_cast<uint64_t>(alive) * 1000003;
}

uint64_t containers(uint64_t seed)
{
	std::vector<std::string> words;
	uint64_t sum = 0;

	for (unsigned i = 0; i < 20; i++)
		words.push_back(std::to_string(seed * i));
	for (const auto &word : words)
		for (char c : word)
			sum = sum * 31 + static_cast<unsigned char>(c);
	sum = compute(sum);
	try {
		sum += words.at(words.size() + seed % 7).size();
	} catch (const std::out_of_range &) {
		sum++;
	}
	return sum;
}

} // namespace

const struct victim victims[] = {
	{"throws", throws},
	{"rethrows", rethrows},
	{"containers", containers},
	{nullptr, nullptr},
};
