#include "spec/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace moeline {
namespace {

// What each named recipe sets; routers and the head stay in bf16 in all of them, as published recipes do
// (DeepSeek-V3 report section 3.3; Megatron-Core mixed-precision recipes). fp8_tensor and mxfp8 keep their weights
// quantised only (Megatron-Core's fp8 parameter gather), with a transposed copy for dgrad; the others quantise from a
// bf16 copy, once per optimiser step.
std::vector<Recipe> recipes() {
  std::vector<Recipe> list;
  list.push_back({.name = "bf16"});
  for (const auto& [name, type, weight, transposed] :
       {std::tuple{"fp8_tensor", DType::fp8, DType::fp8, true},
        std::tuple{"fp8_block", DType::fp8_block, DType::bf16, false},
        std::tuple{"mxfp8", DType::mxfp8, DType::mxfp8, true}, std::tuple{"nvfp4", DType::nvfp4, DType::bf16, true}}) {
    list.push_back({.name = name, .linear = type, .expert = type, .weight = weight, .transposed_weight = transposed});
  }
  return list;
}

void read_dtype(ObjectReader& reader, std::string_view key, DType& field) {
  reader.skip(key);
  if (!reader.has(key)) return;
  const std::string text = reader.string(key);
  const std::optional<DType> type = dtype_named(text);
  if (!type) {
    reader.fail(key, fmt::format("unknown format \"{}\"{}", text,
                                 did_you_mean(text, {"fp32", "bf16", "fp8", "fp8_block", "mxfp8", "mxfp4", "nvfp4"})));
  }
  field = *type;
}

Recipe named(const std::string& name, const std::string& where) {
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return recipe;
  }
  throw SpecError(where, fmt::format("unknown recipe \"{}\"{}", name, did_you_mean(name, recipe_names())));
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) names.push_back(recipe.name);
  return names;
}

Recipe read_recipe(const Json& json, const std::string& where) {
  if (json.is_string()) return named(json.get<std::string>(), where);
  ObjectReader reader(json, where);
  Recipe recipe = named(reader.string_or("base", "bf16"), reader.where("base"));
  recipe.name = reader.string_or("name", recipe.name + " (changed)");
  read_dtype(reader, "linear", recipe.linear);
  read_dtype(reader, "expert", recipe.expert);
  read_dtype(reader, "router", recipe.router);
  read_dtype(reader, "head", recipe.head);
  read_dtype(reader, "dispatch_wire", recipe.dispatch_wire);
  read_dtype(reader, "combine_wire", recipe.combine_wire);
  read_dtype(reader, "weight", recipe.weight);
  recipe.transposed_weight = reader.boolean_or("transposed_weight", recipe.transposed_weight);
  reader.finish();
  return recipe;
}

std::optional<Infeasible> legalise(Recipe& recipe, const Device& device, std::vector<std::string>& notes) {
  const Gpu* gpu = std::get_if<Gpu>(&device);
  if (gpu == nullptr) return std::nullopt;
  const std::string& architecture = gpu->architecture;
  const bool block_scaled = architecture.starts_with("sm_10") || architecture == "sm_120" || architecture == "gfx950";
  for (DType* type : {&recipe.linear, &recipe.expert, &recipe.router, &recipe.head}) {
    if (!gpu->dense_peak.of(*type)) {
      return Infeasible{fmt::format("{} has no {} tensor path, which recipe {} needs", gpu->name, tensor_path(*type),
                                    recipe.name),
                        "choose --recipe bf16, or another device"};
    }
    if (*type == DType::mxfp8 && !block_scaled) {
      *type = DType::fp8_block;
      if (recipe.weight == DType::mxfp8) recipe.weight = DType::bf16;
      notes.push_back(fmt::format("recipe {}: {} has no block-scaled tensor path; priced as 1x128 blocks with folded "
                                  "exponents (fp8_block)",
                                  recipe.name, architecture));
    }
  }
  std::sort(notes.begin(), notes.end());
  notes.erase(std::unique(notes.begin(), notes.end()), notes.end());
  return std::nullopt;
}

}  // namespace moeline
