#include "plan/sweep.hpp"

#include <fmt/format.h>

#include <bit>

#include "spec/scenario.hpp"

namespace moeline {
namespace {

constexpr std::int64_t kMostPoints = std::int64_t{1} << 53;

// splitmix64 (Steele, Lea, Flood 2014): every input bit changes every output bit.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// In [0, 1), 53 bits.
double share(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

void read_mode(ObjectReader& reader, Sweep& sweep) {
  reader.skip("mode");
  if (!reader.has("mode")) return;
  const Json& mode = reader.any("mode");
  if (mode.is_string()) {
    const std::string name = reader.one_of("mode", {"grid", "zip", "random", "latin_hypercube"});
    if (name == "random" || name == "latin_hypercube") {
      reader.fail("mode", fmt::format("say how many: {{\"{}\": 1000, \"seed\": 1}}", name));
    }
    sweep.order = name == "zip" ? SweepOrder::zip : SweepOrder::grid;
    return;
  }
  ObjectReader sampling = reader.object("mode");
  sampling.skip_all({"random", "latin_hypercube"});
  if (sampling.has("random") == sampling.has("latin_hypercube")) {
    reader.fail("mode", "expected \"grid\", \"zip\", {\"random\": 1000} or {\"latin_hypercube\": 1000}");
  }
  const bool random = sampling.has("random");
  sweep.order = random ? SweepOrder::random : SweepOrder::latin_hypercube;
  sweep.samples = static_cast<std::uint64_t>(sampling.integer(random ? "random" : "latin_hypercube", {1, kMostPoints}));
  sweep.seed = static_cast<std::uint64_t>(sampling.integer_or("seed", {0, kMostPoints}, 1));
  sampling.finish();
}

// Grids and zips need values that can be counted; a zip as many of each, a grid no more points than numbers.
void check_counts(const Sweep& sweep, const std::string& where) {
  if (sweep.samples > 0) return;
  double product = 1;
  for (const Axis& axis : sweep.axes) {
    if (axis.count() == 0) {
      throw SpecError(where + axis.pointer(), "a range {\"from\", \"to\"} needs \"steps\", or mode {\"random\": 1000}");
    }
    if (sweep.order == SweepOrder::zip && axis.count() != sweep.axes[0].count()) {
      throw SpecError(where + axis.pointer(),
                      fmt::format("{} values, but {} has {}: a zip needs as many of each", axis.count(),
                                  sweep.axes[0].pointer(), sweep.axes[0].count()));
    }
    product *= static_cast<double>(axis.count());
  }
  if (sweep.order == SweepOrder::grid && product > static_cast<double>(kMostPoints)) {
    throw SpecError(where,
                    fmt::format("{:.3g} points are more than can be numbered; sample: {{\"random\": 1000}}", product));
  }
}

}  // namespace

std::uint64_t shuffled(std::uint64_t index, std::uint64_t size, std::uint64_t seed) {
  const int half = (static_cast<int>(std::bit_width(size - 1)) + 1) / 2;
  if (half == 0) return index;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  // Four Feistel rounds permute 0 .. 2^(2 half) - 1; what falls beyond `size` is permuted again until it falls inside.
  do {
    std::uint64_t left = index >> half, right = index & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      const std::uint64_t next = left ^ (mixed(seed ^ mixed(right ^ (round << 60))) & mask);
      left = right;
      right = next;
    }
    index = (left << half) | right;
  } while (index >= size);
  return index;
}

Sweep read_sweep(const Json& json, const std::string& origin) {
  if (!json.is_object()) throw SpecError(origin, "expected an object {\"scenario\": ..., \"vary\": ...}");
  ObjectReader reader(json, origin);
  reader.skip_all({"scenario", "vary", "description"});
  Sweep sweep;
  read_mode(reader, sweep);
  if (!reader.has("scenario")) reader.fail("scenario", "missing: the scenario that is varied");
  if (!reader.any("scenario").is_object()) reader.fail("scenario", "expected an object {...}: a scenario");
  sweep.scenario = reader.any("scenario");
  if (!reader.has("vary")) reader.fail("vary", "missing: {\"/parallelism/ep\": [16, 32]}");
  const Json& vary = reader.any("vary");
  if (!vary.is_object() || vary.empty()) {
    reader.fail("vary", "expected pointers and their values: {\"/parallelism/ep\": [16, 32]}");
  }
  const std::string where = origin + "#/vary";
  for (const auto& item : vary.items()) sweep.axes.emplace_back(item.key(), item.value(), where + item.key());
  reader.finish();
  check_counts(sweep, where);
  return sweep;
}

std::uint64_t Sweep::points() const {
  if (samples > 0) return samples;
  if (order == SweepOrder::zip) return axes[0].count();
  std::uint64_t product = 1;
  for (const Axis& axis : axes) product *= axis.count();
  return product;
}

std::vector<Json> Sweep::values(std::uint64_t point) const {
  std::vector<Json> list(axes.size());
  std::uint64_t rest = point;
  for (std::size_t a = axes.size(); a-- > 0;) {
    if (order == SweepOrder::grid) {
      list[a] = axes[a].value(rest % axes[a].count());
      rest /= axes[a].count();
    } else if (order == SweepOrder::zip) {
      list[a] = axes[a].value(point);
    } else {
      const std::uint64_t stream = mixed(seed ^ mixed(a));
      const double random = share(mixed(stream ^ mixed(point)));
      if (order == SweepOrder::random) {
        list[a] = axes[a].sample(random);
      } else {
        const auto stratum = static_cast<double>(shuffled(point, samples, stream));
        list[a] = axes[a].sample((stratum + random) / static_cast<double>(samples));
      }
    }
  }
  return list;
}

Json scenario_with(const Sweep& sweep, const std::vector<Json>& values, const std::string& origin) {
  Json scenario = sweep.scenario;
  for (std::size_t a = 0; a < values.size(); ++a) set_value(scenario, sweep.axes[a], values[a], origin);
  return scenario;
}

void set_value(Json& scenario, const Axis& axis, const Json& value, const std::string& origin) {
  set_field(scenario, axis.pointer(), value, origin, axis.where());
}

}  // namespace moeline
