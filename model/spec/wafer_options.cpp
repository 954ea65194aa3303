#include "spec/wafer_options.hpp"

#include <fmt/format.h>
#include <array>

#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr std::array<std::string_view, 3> kModes{"auto", "streaming", "resident"};
constexpr std::array<std::string_view, 4> kKeeps{"auto", "sram", "offload", "recompute"};
constexpr std::array<std::string_view, 3> kScores{"auto", "materialised", "blockwise"};

template <class E, std::size_t N>
void read_choice(ObjectReader& reader, std::string_view key, const std::array<std::string_view, N>& names, E& field) {
  reader.skip(key);
  if (!reader.has(key)) return;
  const std::string text = reader.one_of(key, {names.begin(), names.end()});
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == text) field = static_cast<E>(i);
  }
}

// A count, or "auto".
void read_count(ObjectReader& reader, std::string_view key, std::int64_t& field) {
  reader.skip(key);
  if (!reader.has(key)) return;
  const Json& json = reader.any(key);
  if (!json.is_string()) {
    field = reader.integer(key, {1, 1 << 24});
  } else if (json.get<std::string>() != "auto") {
    reader.fail(key, fmt::format("\"{}\": expected a whole number or \"auto\"", json.get<std::string>()));
  }
}

// Zero is a legal overhead, so "0 us" is read here, where a quantity elsewhere must be positive.
void read_overhead(ObjectReader& reader, std::string_view key, Seconds& field) {
  reader.skip(key);
  if (!reader.has(key)) return;
  const std::string text = reader.string(key);
  const std::optional<Seconds> value = parse<Dimension{.second = 1}>(text);
  if (!value || *value < Seconds{}) reader.fail(key, fmt::format("\"{}\": expected a time, such as \"3 us\"", text));
  field = *value;
}

std::string exact(Seconds value) { return fmt::format("{:.9g} us", value.in(microsecond)); }
Json count(std::int64_t value) { return value == 0 ? Json("auto") : Json(value); }

}  // namespace

WaferOptions read_wafer_options(ObjectReader reader) {
  WaferOptions options;
  read_choice(reader, "mode", kModes, options.mode);
  read_count(reader, "g", options.tiles);
  read_count(reader, "attention_tile", options.attention_tile);
  options.accumulate_on_wafer =
      reader.has("accumulate") && reader.one_of("accumulate", {"outside", "wafer"}) == "wafer";
  options.keep_internals = reader.has("internals") && reader.one_of("internals", {"recompute", "keep"}) == "keep";
  reader.skip_all({"accumulate", "internals", "gradient_wire"});
  read_choice(reader, "keep_inputs", kKeeps, options.keep_inputs);
  read_choice(reader, "scores", kScores, options.scores);
  if (reader.has("gradient_wire")) {
    options.gradient_wire = reader.one_of("gradient_wire", {"bf16", "fp32"}) == "fp32" ? DType::fp32 : DType::bf16;
  }
  WaferConduct& conduct = options.conduct;
  reader.skip("conduct");
  if (reader.has("conduct") && reader.one_of("conduct", {"assumed", "published_pair"}) == "published_pair") {
    conduct = kPublishedPair;
  }
  conduct.efficiency = reader.number_or("efficiency", 1e-3, 1, conduct.efficiency);
  conduct.line_efficiency = reader.number_or("line_efficiency", 1e-3, 1, conduct.line_efficiency);
  read_overhead(reader, "layer_overhead", conduct.layer_overhead);
  read_overhead(reader, "tile_overhead", conduct.tile_overhead);
  reader.finish();
  return options;
}

Json to_json(const WaferOptions& o) {
  return Json{{"mode", name(o.mode)},
              {"g", count(o.tiles)},
              {"attention_tile", count(o.attention_tile)},
              {"accumulate", o.accumulate_on_wafer ? "wafer" : "outside"},
              {"keep_inputs", name(o.keep_inputs)},
              {"internals", o.keep_internals ? "keep" : "recompute"},
              {"scores", name(o.scores)},
              {"gradient_wire", name(o.gradient_wire)},
              {"efficiency", o.conduct.efficiency},
              {"line_efficiency", o.conduct.line_efficiency},
              {"layer_overhead", exact(o.conduct.layer_overhead)},
              {"tile_overhead", exact(o.conduct.tile_overhead)}};
}

std::string_view name(WaferMode what) { return kModes[static_cast<std::size_t>(what)]; }
std::string_view name(KeepInputs what) { return kKeeps[static_cast<std::size_t>(what)]; }
std::string_view name(Scores what) { return kScores[static_cast<std::size_t>(what)]; }

}  // namespace moeline
