#include "spec/speculation.hpp"

#include <fmt/format.h>

#include <array>

#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr std::array<std::string_view, 3> kKinds{"none", "sd", "ssd"}, kBackups{"auto", "draft", "random"};
constexpr std::int64_t kMostDrafted = 64, kMostSlots = 512;

template <class Names>
std::size_t chosen(ObjectReader& reader, std::string_view key, const Names& names) {
  const std::string asked = reader.one_of(key, {names.begin(), names.end()});
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), asked) - names.begin());
}

// A whole number, or "auto" (0).
std::int64_t number_or_auto(ObjectReader& reader, std::string_view key, std::int64_t most) {
  if (!reader.has(key)) return reader.skip(key), 0;
  if (reader.any(key) == "auto") return 0;
  return reader.integer(key, {1, most});
}

void read_draft(ObjectReader& reader, Speculation& s) {
  const Json& draft = reader.any("draft");
  if (draft == "ngram") {
    s.draft = Draft::ngram;
  } else if (draft == "mtp" || draft == "eagle") {
    s.draft = Draft::head;
  } else {
    const Document config = find_model(draft, reader.where("draft"));
    s.model = read_model(config.json, config.origin, config.name);
  }
}

std::vector<double> read_acceptance(ObjectReader& reader) {
  const Json& given = reader.any("acceptance");
  const Json list = given.is_array() ? given : Json::array({given});
  std::vector<double> acceptance;
  for (const Json& value : list) {
    if (!value.is_number() || !(value >= 0.0) || !(value <= 1.0)) {
      reader.fail("acceptance", "expected a probability, or a list of them by position");
    }
    acceptance.push_back(value.get<double>());
  }
  if (acceptance.empty()) reader.fail("acceptance", "expected a probability, or a list of them by position");
  return acceptance;
}

void default_acceptance(Speculation& s, std::vector<std::string>& assumptions) {
  if (s.draft == Draft::ngram) {
    s.acceptance = {0.2};
    assumptions.emplace_back("acceptance: 0.2 a token (a bigram draft, Leviathan et al. 2023)");
  } else {
    s.acceptance = {0.735};
    assumptions.emplace_back("acceptance: 0.735 a token (Qwen3-8B with a 0.6B draft on Alpaca, as reported; yours may differ much)");
  }
}

void read_cache(ObjectReader& reader, Speculation& s, std::vector<std::string>& assumptions) {
  s.cache_slots = number_or_auto(reader, "cache_slots", kMostSlots);
  s.cache_exponent = reader.number_or("cache_exponent", 0.01, 10, s.cache_exponent);
  reader.skip_all({"hit_rate", "backup"});
  if (reader.has("hit_rate")) {
    s.hit_rate = reader.number("hit_rate", 0, 1);
    if (reader.has("cache_exponent")) reader.fail("hit_rate", "excludes cache_exponent, which gives one");
  } else if (!reader.has("cache_exponent")) {
    assumptions.emplace_back("cache_exponent: 0.6 (Qwen3-8B with a 0.6B draft, as reported)");
  }
  if (reader.has("backup")) s.backup = static_cast<Backup>(chosen(reader, "backup", kBackups));
  s.draft_devices = reader.integer_or("draft_devices", {1, 1024}, 1);
  s.sampled = reader.boolean_or("sampled", false);
  if (s.draft != Draft::model) reader.fail("draft", "ssd drafts beside the verification, which takes a model of its own");
}

}  // namespace

Speculation read_speculation(ObjectReader reader, std::vector<std::string>& assumptions) {
  Speculation s;
  s.kind = static_cast<SpeculationKind>(chosen(reader, "kind", kKinds));
  if (s.kind == SpeculationKind::none) {  // what would be asked of it may stay in the file
    reader.skip_all({"draft", "draft_tokens", "acceptance", "expert_correlation", "cache_slots", "cache_exponent", "hit_rate", "backup",
                     "draft_devices", "sampled"});
    reader.finish();
    return s;
  }
  read_draft(reader, s);
  s.draft_tokens = number_or_auto(reader, "draft_tokens", kMostDrafted);
  reader.skip("acceptance");
  if (reader.has("acceptance")) {
    s.acceptance = read_acceptance(reader);
  } else {
    default_acceptance(s, assumptions);
  }
  if (!reader.has("expert_correlation")) {
    assumptions.emplace_back("expert_correlation: 0.69 (31 % fewer experts than independent tokens touch, Cohere 2026)");
  }
  s.expert_correlation = reader.number_or("expert_correlation", 0.25, 1, s.expert_correlation);
  if (s.kind == SpeculationKind::ssd) read_cache(reader, s, assumptions);
  reader.finish();
  return s;
}

Json to_json(const Speculation& s, const Json& given) {
  Json out{{"kind", name(s.kind)}};
  if (s.kind == SpeculationKind::none) return out;
  out["draft"] = given.at("draft");
  out["draft_tokens"] = s.draft_tokens > 0 ? Json(s.draft_tokens) : Json("auto");
  out["acceptance"] = s.acceptance;
  out["expert_correlation"] = s.expert_correlation;
  if (s.kind == SpeculationKind::sd) return out;
  if (s.hit_rate) {
    out["hit_rate"] = *s.hit_rate;
  } else {
    out["cache_exponent"] = s.cache_exponent;
  }
  out["cache_slots"] = s.cache_slots > 0 ? Json(s.cache_slots) : Json("auto");
  out["backup"] = name(s.backup);
  out["draft_devices"] = s.draft_devices;
  out["sampled"] = s.sampled;
  return out;
}

std::string_view name(SpeculationKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::string_view name(Backup backup) { return kBackups[static_cast<std::size_t>(backup)]; }

}  // namespace moeline
