#include "validate/backend.hpp"

#include <algorithm>
#include <optional>

#include <Eigen/Core>

#include "validate/host/cases.hpp"
#include "validate/host/processor.hpp"

namespace moeline {

Slice slice(std::size_t count, int member, int members, std::size_t grain) {
  const std::size_t grains = (count + grain - 1) / grain, parts = static_cast<std::size_t>(members),
                    part = static_cast<std::size_t>(member);
  return {std::min(count, grains * part / parts * grain), std::min(count, grains * (part + 1) / parts * grain)};
}

std::size_t cache_filling_words() {
  return static_cast<std::size_t>(1.5 * processor().last_level_cache) / sizeof(std::uint64_t);
}

namespace {

// One memory for all runs.
void empty_caches(Team& team) {
  static std::vector<std::uint64_t> memory(cache_filling_words());
  static std::uint64_t value = 0;
  ++value;
  team.run([&](int member) {
    const Slice s = slice(memory.size(), member, team.size());
    std::fill(memory.begin() + static_cast<std::ptrdiff_t>(s.begin),
              memory.begin() + static_cast<std::ptrdiff_t>(s.end), value);
  });
}

struct Offer {
  const char *op, *library;
  std::vector<std::string> dtypes, kinds;
  std::unique_ptr<Run> (*prepare)(const Case&, Team&);
};
const std::vector<Offer>& offers() {
  static const std::vector<Offer> kOffers{
      {"gemm", "eigen", {"fp32", "bf16", "mxfp8"}, {""}, product_run},
      {"grouped_gemm", "eigen", {"fp32", "bf16", "mxfp8"}, {""}, product_run},
      {"memory_pass", "host", {"fp64"}, {"copy", "read", "write", "triad"}, pass_run},
      {"quantise", "host", {"mxfp8"}, {"row"}, quantise_run},
      {"all_to_all", "threads", {"int8"}, {"", "moe"}, exchange_run}};
  return kOffers;
}

const Offer* offer_for(const Case& wanted, int cores) {
  const auto fits = [&](const Offer& offer) {
    const auto among = [](const std::vector<std::string>& names, const std::string& name) {
      return std::ranges::find(names, name) != names.end();
    };
    return wanted.op == offer.op && among(offer.dtypes, wanted.dtype) && among(offer.kinds, wanted.kind);
  };
  const auto found = std::ranges::find_if(offers(), fits);
  const auto ranks = wanted.shape.find("ranks");
  if (found == offers().end() || (ranks != wanted.shape.end() && ranks->second > cores)) return nullptr;
  return &*found;
}

auto in_memory(const Case& wanted, const auto& made) {
  try {
    return made();
  } catch (const std::bad_alloc&) {
    throw HardwareError("out of memory for " + wanted.op);
  }
}

class Host : public Backend {
 public:
  Machine machine() override {
    Processor limits = processor();
    measure_limits(limits, team());
    return {.device = profile_name(limits),
            .title = limits.model,
            .versions = {{"compiler", __VERSION__},
                         {"eigen", std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) +
                                       "." + std::to_string(EIGEN_MINOR_VERSION)}},
            .profile = profile_text(limits)};
  }

  std::vector<std::string> libraries(const Case& wanted) const override {
    const Offer* offer = offer_for(wanted, cores_);
    if (offer == nullptr) return {};
    return {offer->library};
  }

  std::unique_ptr<Run> prepare(const Case& wanted) override {
    const Offer* offer = offer_for(wanted, cores_);
    if (offer == nullptr)
      throw HardwareError("this processor cannot run " + wanted.op + " " + wanted.kind + " " + wanted.dtype);
    return in_memory(wanted, [&] { return offer->prepare(wanted, team()); });
  }

  std::unique_ptr<Part> part(const Case& wanted, int rank) override {
    return in_memory(wanted, [&] { return exchange_part(wanted, rank); });
  }

 private:
  Team& team() {
    if (!team_) team_.emplace(cores_);
    return *team_;
  }
  int cores_ = processor().cores;
  std::optional<Team> team_;
};

}  // namespace

Sample HostRun::sample(Caches caches) {
  if (caches == Caches::cold) empty_caches(team_);
  Sample sample = run();
  sample.clock_hz = core_clock();
  return sample;
}

}  // namespace moeline

moeline::Backend* moeline_backend(int version) {
  return version == moeline::kBackendVersion ? new moeline::Host : nullptr;
}
