#include "spec/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spec/json.hpp"

namespace moeline {
namespace {

Recipe quantised(std::string name, DType type, DType weight, bool transposed) {
  Recipe recipe{.name = std::move(name)};
  recipe.linear = recipe.expert = type;
  recipe.weight = weight;
  recipe.transposed_weight = transposed;
  return recipe;
}

// Routers and the head stay in bf16 in all of them, as published recipes do (DeepSeek-V3 report section 3.3;
// Megatron-Core mixed-precision recipes). fp8_tensor and mxfp8 keep their weights quantised only (Megatron-Core's fp8
// parameter gather), with a transposed copy for dgrad; the others quantise from a bf16 copy.
std::vector<Recipe> all_recipes() {
  std::vector<Recipe> list;
  list.push_back({.name = "bf16"});
  list.push_back(quantised("fp8_tensor", DType::fp8, DType::fp8, true));  // scale from former steps
  list.push_back(quantised("fp8_tensor_current", DType::fp8, DType::fp8, true));
  list.back().maximum_pass = true;
  list.push_back(quantised("fp8_block", DType::fp8_block, DType::bf16, false));
  // Transformer Engine: both copies from one read, scales swizzled by a kernel of their own.
  Recipe te = quantised("mxfp8", DType::mxfp8, DType::mxfp8, true);
  te.scales = ScaleLayout::relayout;
  list.push_back(te);
  // TorchAO and TorchTitan: dynamic, every operand by its own pass when it is needed, weights too.
  Recipe torchao = quantised("mxfp8_torchao", DType::mxfp8, DType::bf16, false);
  torchao.kernels = Kernels::torchao;
  torchao.scales = ScaleLayout::relayout;
  torchao.weights_made = Made::micro_batch;
  torchao.both_ways = false;
  list.push_back(torchao);
  // The same with MXFP8 on the wire: dispatched rows cannot be reused column-wise, so their wgrad runs in bf16.
  Recipe wire = torchao;
  wire.name = "mxfp8_dispatch";
  wire.dispatch_wire = DType::mxfp8;
  wire.quantised_dispatch = true;
  list.push_back(wire);
  // Kernels written for it: one quantiser writes both copies and their scales in place, SwiGLU quantises.
  Recipe fused = quantised("mxfp8_fused", DType::mxfp8, DType::bf16, true);
  fused.kernels = Kernels::fused;
  fused.scales = ScaleLayout::in_place;
  fused.fused_activation = true;
  list.push_back(fused);
  // One kernel a direction: rows are quantised while they are dispatched.
  Recipe mega = fused;
  mega.name = "mxfp8_megakernel";
  mega.dispatch_wire = DType::mxfp8;
  mega.megakernel = true;
  list.push_back(mega);
  // Forms for tensor cores without block scales: exponents of 4 blocks folded into one 1 x 128 scale; operands expanded
  // to bf16; partial sums of 32 scaled by CUDA cores.
  list.push_back(quantised("mxfp8_folded", DType::fp8_block, DType::bf16, false));
  list.push_back(quantised("mxfp8_dequant_bf16", DType::mxfp8, DType::mxfp8, false));
  list.back().dequantised = true;
  list.push_back(quantised("mxfp8_per32", DType::mxfp8, DType::bf16, false));
  list.back().software_block = 32;
  // As gpt-oss is published: experts alone are quantised.
  list.push_back({.name = "mxfp4", .expert = DType::mxfp4, .weight = DType::mxfp4});
  // Two levels of scales: the tensor's largest value first.
  Recipe nvfp4 = quantised("nvfp4", DType::nvfp4, DType::bf16, true);
  nvfp4.scales = ScaleLayout::relayout;
  nvfp4.maximum_pass = true;
  list.push_back(nvfp4);
  return list;
}

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> list = all_recipes();
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

template <class Enum, std::size_t N>
void read_enum(ObjectReader& reader, std::string_view key, Enum& field, const Enum (&values)[N]) {
  reader.skip(key);
  if (!reader.has(key)) return;
  const std::string text = reader.string(key);
  std::vector<std::string> names;
  for (const Enum value : values) {
    names.emplace_back(name(value));
    if (names.back() == text) {
      field = value;
      return;
    }
  }
  reader.fail(key, fmt::format("unknown value \"{}\"{}", text, did_you_mean(text, names)));
}

Recipe named(const std::string& name, const std::string& where) {
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return recipe;
  }
  throw SpecError(where, fmt::format("unknown recipe \"{}\"{}", name, did_you_mean(name, recipe_names())));
}

void use_folded(Recipe& recipe) {
  recipe.scales = ScaleLayout::plain;
  if (recipe.weight == DType::mxfp8) recipe.weight = DType::bf16;
  if (recipe.dispatch_wire == DType::mxfp8) recipe.dispatch_wire = DType::fp8_block;
}

Operand operand(std::string_view tensor, DType format, bool columns, const Recipe& recipe) {
  Operand o{.tensor = tensor, .format = format, .direction = "-", .made = "-"};
  if (!is_quantised(format)) return o;
  if (has_block_scales(format)) o.direction = columns ? "columns" : "rows";
  o.made = tensor == "weight" ? name(recipe.weights_made) : name(Made::micro_batch);
  return o;
}

}  // namespace

std::string_view name(Kernels kernels) {
  switch (kernels) {
    case Kernels::te:
      return "te";
    case Kernels::torchao:
      return "torchao";
    case Kernels::fused:
      return "fused";
    case Kernels::megablocks:
      return "megablocks";
  }
  return "";
}

std::string_view name(ScaleLayout layout) {
  switch (layout) {
    case ScaleLayout::plain:
      return "plain";
    case ScaleLayout::relayout:
      return "relayout";
    case ScaleLayout::in_place:
      return "in_place";
  }
  return "";
}

std::string_view name(Made made) { return made == Made::micro_batch ? "micro_batch" : "optimizer_step"; }

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
  read_dtype(reader, "gradient_wire", recipe.gradient_wire);
  read_dtype(reader, "weight", recipe.weight);
  recipe.transposed_weight = reader.boolean_or("transposed_weight", recipe.transposed_weight);
  read_enum(reader, "kernels", recipe.kernels, {Kernels::te, Kernels::torchao, Kernels::fused, Kernels::megablocks});
  read_enum(reader, "scales", recipe.scales, {ScaleLayout::plain, ScaleLayout::relayout, ScaleLayout::in_place});
  read_enum(reader, "weights_made", recipe.weights_made, {Made::micro_batch, Made::optimizer_step});
  recipe.maximum_pass = reader.boolean_or("maximum_pass", recipe.maximum_pass);
  recipe.both_ways = reader.boolean_or("both_ways", recipe.both_ways);
  recipe.fused_activation = reader.boolean_or("fused_activation", recipe.fused_activation);
  recipe.fused_permute = reader.boolean_or("fused_permute", recipe.fused_permute);
  recipe.quantised_dispatch = reader.boolean_or("quantised_dispatch", recipe.quantised_dispatch);
  recipe.megakernel = reader.boolean_or("megakernel", recipe.megakernel);
  reader.finish();
  if (recipe.quantised_dispatch && recipe.dispatch_wire != recipe.expert) {
    throw SpecError(
        where, fmt::format("quantised_dispatch sends rows as the experts multiply them ({}), and dispatch_wire is {}",
                           name(recipe.expert), name(recipe.dispatch_wire)));
  }
  return recipe;
}

std::optional<Infeasible> legalise(Recipe& recipe, const Device& device, std::vector<std::string>& notes) {
  const Gpu* gpu = std::get_if<Gpu>(&device);
  if (gpu == nullptr) return std::nullopt;
  const std::string& architecture = gpu->architecture;
  const bool block_scaled = architecture.starts_with("sm_10") || architecture == "sm_120" || architecture == "gfx950";
  for (DType* type : {&recipe.linear, &recipe.expert, &recipe.router, &recipe.head}) {
    const DType path = multiplied(recipe, *type);
    if (!gpu->dense_peak.of(path)) {
      return Infeasible{
          fmt::format("{} has no {} tensor path, which recipe {} needs", gpu->name, tensor_path(path), recipe.name),
          "choose --recipe bf16, or another device"};
    }
    if (path == DType::mxfp8 && !block_scaled && recipe.software_block <= 0) {
      *type = DType::fp8_block;
      use_folded(recipe);
      notes.push_back(
          fmt::format("recipe {}: {} has no block-scaled tensor path; priced as mxfp8_folded (1x128 blocks with "
                      "folded exponents, fp8_block)",
                      recipe.name, architecture));
    }
  }
  std::sort(notes.begin(), notes.end());
  notes.erase(std::unique(notes.begin(), notes.end()), notes.end());
  return std::nullopt;
}

std::vector<Product> products(const Recipe& recipe) {
  std::vector<Product> list;
  for (const auto& [layer, kept] : {std::pair{"linear", recipe.linear}, std::pair{"expert", recipe.expert},
                                    std::pair{"shared expert", recipe.linear}, std::pair{"router", recipe.router},
                                    std::pair{"head", recipe.head}}) {
    const DType type = multiplied(recipe, kept);
    const DType reduced = std::string_view(layer) == "expert" ? expert_wgrad(recipe) : type;
    list.push_back({layer, "fprop", operand("input", type, false, recipe), operand("weight", type, false, recipe)});
    list.push_back({layer, "dgrad", operand("gradient", type, false, recipe), operand("weight", type, true, recipe)});
    list.push_back(
        {layer, "wgrad", operand("gradient", reduced, true, recipe), operand("input", reduced, true, recipe)});
  }
  return list;
}

}  // namespace moeline
