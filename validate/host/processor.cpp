#include "validate/host/processor.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

namespace moeline {
namespace {

std::string model_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

double system_value(int name) { return static_cast<double>(std::max(0L, ::sysconf(name))); }

// The data cache of that level as core 0 sees it. sysconf counts a whole socket's in a virtual machine.
double cache_bytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::ifstream level_file(folder + "level"), type_file(folder + "type"), size_file(folder + "size");
    int found = 0;
    double kibibytes = 0;
    std::string type;
    if (level_file >> found && type_file >> type && size_file >> kibibytes && found == level && type != "Instruction")
      return kibibytes * 1024;
  }
  return 0;
}

volatile double kept_alive;  // results that nobody wants still have to be computed

// One register wide: two would spill, and what is timed would be the first-level cache.
#if defined(__AVX512F__)
constexpr std::size_t kRegister = 16;
#elif defined(__AVX__)
constexpr std::size_t kRegister = 8;
#else
constexpr std::size_t kRegister = 4;
#endif
constexpr std::size_t kLanes = 64, kChains = 12;
using Lanes = float __attribute__((vector_size(sizeof(float) * kRegister)));

// Independent multiply-adds that never leave the registers; the sum goes back so that nothing is optimised away.
float multiply_adds(std::size_t times) {
  const Lanes factor = Lanes{} + 0.999F, term = Lanes{} + 0.001F, one = Lanes{} + static_cast<float>(kept_alive);
  // Twelve that the compiler cannot know to be alike.
  Lanes a = one * 1, b = one * 2, c = one * 3, d = one * 4, e = one * 5, f = one * 6;
  Lanes g = one * 7, h = one * 8, i = one * 9, j = one * 10, k = one * 11, l = one * 12;
  for (std::size_t time = 0; time < times; ++time) {
    a = a * factor + term, b = b * factor + term, c = c * factor + term, d = d * factor + term;
    e = e * factor + term, f = f * factor + term, g = g * factor + term, h = h * factor + term;
    i = i * factor + term, j = j * factor + term, k = k * factor + term, l = l * factor + term;
  }
  return (a + b + c + d + e + f + g + h + i + j + k + l)[0];
}

double read_sum(const std::vector<double>& data, std::size_t begin, std::size_t end) {
  double sums[kLanes] = {};
  for (std::size_t i = begin; i + kLanes <= end; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += data[i + lane];
  }
  return *std::max_element(sums, sums + kLanes);
}

// Shortest of `times` calls.
double shortest(Team& team, int times, const std::function<void(int)>& work) {
  double best = team.run(work).seconds;
  for (int i = 1; i < times; ++i) best = std::min(best, team.run(work).seconds);
  return best;
}

std::string with_unit(double value, double scale, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4g %s", value / scale, unit);
  return text;
}

using Json = nlohmann::ordered_json;
Json fact(Json value, const char* source, bool inferred = false) {
  Json json{{"value", std::move(value)}, {"source", source}};
  if (inferred) json["inferred"] = true;
  return json;
}

}  // namespace

Processor processor() {
  constexpr double kSmallest = 262144;  // where nothing is told
  const double page = system_value(_SC_PAGESIZE);
  return {.model = model_name(),
          .cores = usable_cores(),
          .memory = system_value(_SC_PHYS_PAGES) * page,
          .last_level_cache = std::max({cache_bytes(3), cache_bytes(2), kSmallest}),
          .core_cache = std::max(cache_bytes(2), kSmallest)};
}

double core_clock() {
  constexpr int kRounds = 512, kChain = 32;
  std::uint64_t value = 1;
  const double begin = now();
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kChain; ++i) {
      value ^= value << 1;  // a shift and an exclusive or, each waiting for the one before: two cycles
      asm volatile("" : "+r"(value));
    }
  }
  return 2.0 * kRounds * kChain / (now() - begin);
}

void measure_limits(Processor& p, Team& team) {
  for (int i = 0; i < 2000; ++i) p.clock_hz = std::max(p.clock_hz, core_clock());
  constexpr std::size_t kTimes = 20000;
  const double flops_of_call = 2.0 * kTimes * kChains * kRegister * team.size();
  p.flops = flops_of_call / shortest(team, 60, [](int) { kept_alive = multiply_adds(kTimes); });
  const auto each =
      static_cast<std::size_t>(4 * p.last_level_cache / sizeof(double)) / static_cast<std::size_t>(team.size());
  const std::vector<double> data(each * static_cast<std::size_t>(team.size()), 1.5);
  const double seconds = shortest(team, 15, [&](int member) {
    const std::size_t begin = static_cast<std::size_t>(member) * each;
    kept_alive = read_sum(data, begin, begin + each);
  });
  p.bandwidth = static_cast<double>(data.size() * sizeof(double)) / seconds;
}

std::string profile_name(const Processor& p) {
  std::string name = "cpu-";
  for (const char c : p.model) {
    const bool kept = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (kept) name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!kept && name.back() != '-') name += '-';
  }
  if (name.back() != '-') name += '-';
  return name + std::to_string(p.cores) + "-cores";
}

std::string profile_text(const Processor& p) {
  constexpr const char* kMeasured = "measured on this machine by moeline measure, best of many short runs";
  constexpr const char* kSystem = "reported by the operating system";
  const std::string bandwidth = with_unit(p.bandwidth, 1e9, "GB/s");
  Json device{{"kind", "host"}, {"name", p.model}};
  device["cores"] = fact(p.cores, kSystem);
  device["clock"] = fact(with_unit(p.clock_hz, 1e9, "GHz"), kMeasured);
  device["peak"] = fact(with_unit(p.flops, 1e9, "GFLOP/s"), "measured: fp32 multiply-adds in registers, all cores");
  device["memory_capacity"] = fact(with_unit(p.memory, 1e9, "GB"), kSystem);
  device["memory_bandwidth"] = fact(bandwidth, "measured: all cores reading four times the last-level cache");
  device["last_level_cache"] = fact(with_unit(p.last_level_cache, 1024 * 1024, "MiB"), kSystem);
  device["core_cache"] = fact(with_unit(p.core_cache, 1024, "KiB"), kSystem);
  device["power_cap"] = fact(with_unit(5.0 * p.cores, 1, "W"), "assumed: 5 W a core", true);
  const Json tier{{"name", "threads over shared memory"},
                  {"kind", "switch"},
                  {"span", fact(std::max(2, p.cores), kSystem)},
                  {"bandwidth", fact(bandwidth, "the memory's, measured: every byte sent is read and written there")},
                  {"latency", fact("0.1 us", "assumed: a cache line between two cores", true)}};
  return Json{{"name", profile_name(p)},
              {"title", p.model + ", " + std::to_string(p.cores) + " cores"},
              {"device", device},
              {"fabric", Json::array({tier})}}
      .dump();
}

}  // namespace moeline
