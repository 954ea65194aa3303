#include "fit/calibration_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fit/gemm_data.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
namespace {

// Widening of a borrowed page's spread: sisters of one generation err about 1.3 times as much (H200 to H100, B200 to
// GB200, 9,781 products; reference study of the same data).
constexpr double kSister = 1.3;
// Library whose rows price a training step, by format.
constexpr std::pair<std::string_view, std::string_view> kLibraries[]{
    {"bfloat16", "trtllm"}, {"fp8", "trtllm"}, {"fp8_block", "sglang"}, {"nvfp4", "trtllm"}};

Json summary_json(const ErrorSummary& s) {
  return Json{{"n", s.n}, {"mean", s.mean}, {"median", s.median}, {"p90", s.p90}, {"bias", s.bias}};
}

ErrorSummary read_summary(ObjectReader reader) {
  ErrorSummary s{.n = static_cast<std::size_t>(reader.integer("n", kNonNegative)), .mean = reader.number("mean", 0, 1e6),
                 .median = reader.number("median", 0, 1e6), .p90 = reader.number("p90", 0, 1e6),
                 .bias = reader.number("bias", -1e6, 1e6)};
  reader.finish();
  return s;
}

FamilyFit read_page(ObjectReader& reader, const std::string& device) {
  FamilyFit page;
  page.key = {device, reader.string("operation"), reader.string("library"), reader.string("dtype")};
  ObjectReader parameters = reader.object("parameters");
  for (const std::string& name : parameters.keys()) {
    ObjectReader one = parameters.object(name);
    page.parameters.push_back({.name = name, .unit = one.string("unit")});
    page.fit.values.push_back(one.number("value", 1e-12, 1e12));
    page.fit.at_bound.push_back(!one.boolean("identified"));
    one.finish();
  }
  page.fitted = read_summary(reader.object("fitted"));
  page.held_out = read_summary(reader.object("held_out"));
  ObjectReader spread = reader.object("spread");
  page.spread = {spread.number("p10", -10, 10), spread.number("p90", -10, 10)};
  spread.finish();
  page.domain = reader.string("domain");
  reader.skip("skipped");
  reader.finish();
  return page;
}

// Nearest relative with pages of its own, by generation.
std::string_view relative(const Gpu& gpu) {
  if (gpu.architecture == "sm_90") return "h200-sxm";
  if (gpu.architecture == "sm_100" || gpu.architecture == "sm_103") return "b200-sxm";
  return "";
}

const FamilyFit* find_page(const std::vector<FamilyFit>& pages, std::string_view operation, std::string_view library,
                           std::string_view dtype) {
  const auto found = std::find_if(pages.begin(), pages.end(), [&](const FamilyFit& page) {
    return page.key.operation == operation && page.key.library == library && page.key.dtype == dtype;
  });
  return found == pages.end() ? nullptr : &*found;
}

// A product inside a step launches one kernel; its quantiser is an op of its own.
void share_launch(Calibration& calibration) {
  for (GemmFit* fit : {&calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4}) {
    if (fit->source != Source::bound) fit->launch = calibration.gemm_bf16.launch;
  }
}

GemmFit priced(const FamilyFit& page, bool own) {
  GemmFit fit = gemm_fit(page.key, page.fit.values);
  fit.source = own ? Source::fitted : Source::extrapolated;
  // Half the 10-90 band is 1.28 standard deviations.
  fit.spread = (page.spread.high - page.spread.low) / 2 / 1.2816 * (own ? 1 : kSister);
  return fit;
}

Calibration assemble(const std::vector<FamilyFit>& pages, bool own) {
  Calibration calibration;
  GemmFit* const fits[]{&calibration.gemm_bf16, &calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4};
  for (std::size_t i = 0; i < std::size(kLibraries); ++i) {
    const FamilyFit* page = find_page(pages, "gemm", kLibraries[i].second, kLibraries[i].first);
    if (page != nullptr) *fits[i] = priced(*page, own);
  }
  share_launch(calibration);
  return calibration;
}

}  // namespace

Json to_json(const FamilyFit& page) {
  Json parameters = Json::object();
  for (std::size_t i = 0; i < page.parameters.size(); ++i) {
    parameters[page.parameters[i].name] = Json{{"value", page.fit.values[i]}, {"unit", page.parameters[i].unit},
                                               {"identified", !page.fit.at_bound[i]}};
  }
  return Json{{"operation", page.key.operation}, {"library", page.key.library}, {"dtype", page.key.dtype},
              {"parameters", parameters}, {"domain", page.domain}, {"fitted", summary_json(page.fitted)},
              {"held_out", summary_json(page.held_out)}, {"spread", Json{{"p10", page.spread.low}, {"p90", page.spread.high}}},
              {"skipped", page.skipped}};
}

std::vector<FamilyFit> read_pages(const Json& json, const std::string& origin) {
  ObjectReader reader(json, origin);
  const std::string device = reader.string("device");
  reader.string("source");
  reader.skip("families");
  if (!reader.has("families")) reader.finish();  // a misspelt key says so before a missing one does
  std::vector<FamilyFit> pages;
  for (ObjectReader& page : reader.objects("families")) pages.push_back(read_page(page, device));
  reader.finish();
  return pages;
}

Calibration calibration_for(const Cluster& cluster, std::string& note) {
  note = "calibration: none for this device, datasheet bounds";
  const Gpu* gpu = std::get_if<Gpu>(&cluster.device);
  if (gpu == nullptr) return {};
  const std::string_view name = relative(*gpu);
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    if (entry.name != name) continue;
    const std::string origin = "calibration/" + std::string(name) + ".json";
    const std::vector<FamilyFit> pages = read_pages(parse_json(entry.text, origin), origin);
    const bool own = name == cluster.name;
    note = fmt::format("calibration: {}{}", name, own ? "" : fmt::format(", borrowed for {} (same generation)", gpu->name));
    return assemble(pages, own);
  }
  return {};
}

Calibration calibration_from(const Json& json, const std::string& origin, std::string& note) {
  note = "calibration: " + origin;
  return assemble(read_pages(json, origin), true);
}

}  // namespace moeline
