#include "spec/routing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "spec/json.hpp"
#include "spec/popularity.hpp"

namespace moeline {
namespace {

constexpr std::array<std::string_view, 7> kPopularities{"balanced",  "uniform",  "power_law", "zipf",
                                                        "dirichlet", "overload", "file"};
constexpr std::array<std::string_view, 7> kBalancers{"none",     "aux_loss", "loss_free", "quantile",
                                                     "capacity", "eplb",     "dynamic"};

constexpr std::size_t kDraws = 64;  // layers a distribution is sampled for: their mean is known to 1 or 2 %
constexpr std::uint64_t kSeed = 1;

template <class Names>
std::size_t chosen(ObjectReader& reader, const char* key, const Names& names) {
  std::string given = reader.string_or(key, std::string(names[0]));
  std::replace(given.begin(), given.end(), '-', '_');
  const auto found = std::find(names.begin(), names.end(), given);
  if (found == names.end()) {
    const std::vector<std::string> list(names.begin(), names.end());
    reader.fail(key, fmt::format("unknown value \"{}\"{}", given, did_you_mean(given, list)));
  }
  return static_cast<std::size_t>(found - names.begin());
}

// The distribution's parameter, within what makes sense of it.
double read_alpha(ObjectReader& reader, Popularity popularity) {
  switch (popularity) {
    case Popularity::power_law:
    case Popularity::zipf:
      return reader.number("alpha", 0, 10);
    case Popularity::dirichlet:
      return reader.number("alpha", 1e-3, 1e6);
    case Popularity::overload:
      return reader.number("alpha", 1, 1e6);
    default:
      if (reader.number_or("alpha", 0, 1e6, 0) != 0) reader.fail("alpha", "has no meaning for this popularity; leave it out");
      return 0;
  }
}

// What aux_loss (1e-3) and loss_free left in a 1B model, over all tokens: arXiv 2408.15664, table 2.
constexpr double kAuxLossViolation = 0.72, kLossFreeViolation = 0.04;

}  // namespace

std::string_view name(Popularity popularity) { return kPopularities[static_cast<std::size_t>(popularity)]; }
std::string_view name(Balancer balancer) { return kBalancers[static_cast<std::size_t>(balancer)]; }

Routing read_routing(ObjectReader reader, std::int64_t experts) {
  Routing r;
  r.popularity = static_cast<Popularity>(chosen(reader, "popularity", kPopularities));
  r.balancer = static_cast<Balancer>(chosen(reader, "balancer", kBalancers));
  r.alpha = read_alpha(reader, r.popularity);
  r.spread = reader.number_or("spread", 1, 1e9, r.spread);
  const double published = r.balancer == Balancer::aux_loss    ? kAuxLossViolation
                           : r.balancer == Balancer::loss_free ? kLossFreeViolation
                                                               : 0;
  r.max_violation = reader.number_or("max_violation", 0, 1e6, published);
  r.capacity_factor = reader.number_or("capacity_factor", 0.01, 1e3, 1);
  r.redundant = reader.integer_or("redundant_experts", {0, 1 << 20}, 0);
  const std::string path = r.popularity == Popularity::file ? reader.string("file") : "";
  if (path.empty()) reader.skip("file");
  reader.finish();
  const auto columns = static_cast<std::size_t>(experts);
  if (experts == 0 || r.popularity == Popularity::balanced || r.popularity == Popularity::uniform ||
      r.popularity == Popularity::overload)
    return r;
  r.drawn.shares = std::make_shared<const ExpertShares>(path.empty() ? draw_shares(r, columns, kDraws, kSeed)
                                                                     : read_shares(path, columns));
  return r;
}

Json to_json(const Routing& r, const Json& given) {
  Json out{{"popularity", name(r.popularity)}};
  if (r.alpha > 0) out["alpha"] = r.alpha;
  if (r.popularity == Popularity::power_law) out["spread"] = r.spread;
  if (r.popularity == Popularity::file) out["file"] = given.at("file");
  if (r.balancer == Balancer::none) return out;
  out["balancer"] = name(r.balancer);
  if (r.balancer == Balancer::aux_loss || r.balancer == Balancer::loss_free) out["max_violation"] = r.max_violation;
  if (r.balancer == Balancer::capacity) out["capacity_factor"] = r.capacity_factor;
  if (r.balancer == Balancer::eplb) out["redundant_experts"] = r.redundant;
  return out;
}

Json parse_routing_text(const std::string& text, const std::string& where) {
  const std::size_t colon = text.find(':');
  Json out{{"popularity", text.substr(0, colon)}};
  if (colon == std::string::npos) return out;
  const std::string value = text.substr(colon + 1);
  if (out["popularity"] == "file") {
    out["file"] = value;
    return out;
  }
  out["alpha"] = Json::parse(value, nullptr, false);
  if (!out["alpha"].is_number())
    throw SpecError(where, fmt::format("\"{}\" is no number, such as in power-law:1.2", value));
  return out;
}

}  // namespace moeline
