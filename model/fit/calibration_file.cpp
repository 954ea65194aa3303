#include "fit/calibration_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "fit/attention_data.hpp"
#include "fit/deepep_data.hpp"
#include "fit/deepgemm_data.hpp"
#include "fit/gemm_data.hpp"
#include "fit/layer_data.hpp"
#include "fit/mnnvl_data.hpp"
#include "fit/nccl_data.hpp"
#include "fit/training_gemm_data.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
namespace {

// Widening of a borrowed page's spread: sisters of one generation err about 1.3 times as much (H200 to H100, B200 to
// GB200, 9,781 products; reference study of the same data).
constexpr double kSister = 1.3;
// Across a generation errors grow to 15-27 %, several times those at home (same study).
constexpr double kStranger = 3;
// Libraries whose rows price a training step, by format: of two, the one of the nearer device.
struct Libraries {
  std::string_view dtype, first, second;
};
constexpr Libraries kLibraries[]{
    {"bfloat16", "trtllm", "trtllm"}, {"fp8", "trtllm", "trtllm"},
    {"fp8_block", "sglang", "deepgemm"}, {"nvfp4", "trtllm", "trtllm"}};

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

// Whose pages price a device, best first. Training attention was measured on A100 and B200 only, so Hopper takes its
// backward from the A100: across a generation, and marked so.
struct Lender {
  std::string_view name;
  double widening;  // of the spread, when the pages are not the device's own
};
std::vector<Lender> lenders(const Gpu& gpu) {
  if (gpu.architecture == "sm_80") return {{"a100-pcie", kSister}};
  if (gpu.architecture == "sm_90") return {{"h200-sxm", kSister}, {"a100-pcie", kStranger}};
  if (gpu.architecture == "sm_100" || gpu.architecture == "sm_103") return {{"b200-sxm", kSister}, {"gb200-nvl72", kSister}};
  return {};
}

struct Page {
  FamilyFit fit;
  bool own;
  double widening;
};

// The page of that operation from the first lender that has it; an empty library or dtype matches any.
const Page* find_page(const std::vector<Page>& pages, std::string_view operation, std::string_view library = "",
                      std::string_view dtype = "") {
  const auto found = std::find_if(pages.begin(), pages.end(), [&](const Page& page) {
    const FamilyKey& key = page.fit.key;
    return key.operation == operation && (library.empty() || key.library == library) && (dtype.empty() || key.dtype == dtype);
  });
  return found == pages.end() ? nullptr : &*found;
}

// Source and spread of a structure filled from a page. Half the 10-90 band is 1.28 standard deviations.
template <class F>
F marked(F fit, const Page& page) {
  fit.source = page.own ? Source::fitted : Source::extrapolated;
  fit.spread = (page.fit.spread.high - page.fit.spread.low) / 2 / 1.2816 * (page.own ? 1 : page.widening);
  return fit;
}

// Pages are in order of their lenders.
const Page* nearer(const Page* a, const Page* b) {
  if (a == nullptr || b == nullptr) return a == nullptr ? b : a;
  return std::min(a, b);
}

// Products in 16 bit of a device without those of TensorRT-LLM. An eager launch belongs to the host that made it.
void assemble_older_gemm(GemmFit& bf16, const std::vector<Page>& pages) {
  const Page* training = find_page(pages, "training_gemm");
  const Page* eager = find_page(pages, "gemm", "pytorch", "float16");
  if (eager != nullptr && nearer(eager, training) == eager) {
    bf16 = marked(gemm_fit(eager->fit.key, eager->fit.fit.values), *eager);
    bf16.launch = training != nullptr ? training_gemm_fit(training->fit.fit.values).launch : Seconds{};
  } else if (training != nullptr) {
    bf16 = marked(training_gemm_fit(training->fit.fit.values), *training);
  }
}

// Share of the bandwidth that PyTorch's passes reach: mean of the logs over the kernels of the nearest device. Those of
// vLLM (33 to 98 % on H100) serve, and price no training step.
std::optional<double> pass_share(const std::vector<Page>& pages) {
  double logs = 0, kernels = 0;
  std::string_view device;
  for (const Page& page : pages) {
    const FamilyKey& key = page.fit.key;
    if (key.operation != "memory_pass" || !key.library.starts_with("pytorch-")) continue;
    if (device.empty()) device = key.device;
    if (key.device != device) continue;
    logs += std::log(memory_pass_share(page.fit.fit.values));
    ++kernels;
  }
  return kernels > 0 ? std::optional(std::exp(logs / kernels)) : std::nullopt;
}

void assemble_gemm(Calibration& calibration, const std::vector<Page>& pages) {
  GemmFit* const fits[]{&calibration.gemm_bf16, &calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4};
  for (std::size_t i = 0; i < std::size(kLibraries); ++i) {
    const auto& [dtype, first, second] = kLibraries[i];
    const Page* page = nearer(find_page(pages, "gemm", first, dtype), find_page(pages, "gemm", second, dtype));
    if (page != nullptr) *fits[i] = marked(gemm_fit(page->fit.key, page->fit.fit.values), *page);
  }
  if (calibration.gemm_bf16.source == Source::bound) assemble_older_gemm(calibration.gemm_bf16, pages);
  if (calibration.gemm_bf16.source == Source::bound) return;
  // The contiguous layout is that of training; the masked one decodes.
  if (const Page* page = find_page(pages, "grouped_gemm", "deepgemm", "fp8_block")) {
    calibration.grouped_fp8_block = marked(grouped_gemm_fit(page->fit.key, page->fit.fit.values), *page);
  }
  // On the machine that measured both, grouped products run their main loop at 1.06 of the dense rate: what grouping
  // adds is a cost per expert, host gap included. That machine runs far below others of its kind, so only this is taken.
  if (const Page* page = find_page(pages, "grouped_gemm", "te")) {
    const Seconds expert = training_gemm_fit(page->fit.fit.values).expert;
    for (GemmFit* fit : fits) fit->expert = expert;
  }
  // A product inside a step launches one kernel; its quantiser is an op of its own.
  for (GemmFit* fit : {&calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4}) {
    if (fit->source != Source::bound) fit->launch = calibration.gemm_bf16.launch;
  }
  // Passes over memory that were not measured alone stream as well as a product's operands do.
  calibration.memory = {.launch = calibration.gemm_bf16.launch, .memory = pass_share(pages).value_or(calibration.gemm_bf16.memory),
                        .spread = 2 * calibration.gemm_bf16.spread, .source = Source::extrapolated};
}

// Forward from the serving rows, which are many; backward from the training rows, as a share of the forward rate.
void assemble_attention(Calibration& calibration, const std::vector<Page>& pages) {
  const Page* training = find_page(pages, "attention_backward");
  const auto with_backward = [&](const Page& page) {
    PrefillFit fit = marked(prefill_fit(page.fit.key, page.fit.fit.values), page);
    if (training == nullptr) return fit;
    const PrefillFit back = prefill_fit(training->fit.key, training->fit.fit.values);
    fit.launch_backward = fit.launch;
    fit.backward = back.backward;
    fit.overlap_backward = back.overlap_backward;
    fit.wide = 0;
    fit.wide_backward = back.wide_backward;
    fit.spread = std::max(fit.spread, marked(back, *training).spread);
    if (&page != training) fit.source = Source::extrapolated;
    return fit;
  };
  for (const auto& [operation, fit] : {std::pair{"prefill", &calibration.attention}, std::pair{"mla_prefill", &calibration.latent_attention}}) {
    const Page* page = nearer(find_page(pages, operation, "trtllm", "bf16/bf16"),
                              find_page(pages, operation, "fa3", "bf16/bf16"));
    if (page != nullptr) *fit = with_backward(*page);
    if (page == nullptr && training != nullptr) *fit = marked(prefill_fit(training->fit.key, training->fit.fit.values), *training);
  }
}

void assemble_network(Calibration& calibration, const std::vector<Page>& pages) {
  if (const Page* page = find_page(pages, "collective", "nccl")) calibration.nccl = marked(nccl_fit(page->fit.fit.values), *page);
  DeepEpFits& deepep = calibration.deepep;
  for (const auto& [operation, fit] :
       {std::pair{"deepep_normal_dispatch", &deepep.dispatch}, std::pair{"deepep_normal_combine", &deepep.combine},
        std::pair{"deepep_nodes_dispatch", &deepep.nodes_dispatch}, std::pair{"deepep_nodes_combine", &deepep.nodes_combine}}) {
    const Page* page = find_page(pages, operation);
    if (page != nullptr) *fit = marked(deepep_fit(page->fit.key, page->fit.fit.values), *page);
  }
  for (const auto& [operation, fit] :
       {std::pair{"mnnvl_dispatch", &calibration.mnnvl.dispatch}, std::pair{"mnnvl_combine", &calibration.mnnvl.combine}}) {
    const Page* page = find_page(pages, operation, "trtllm-one-sided");
    if (page != nullptr) *fit = marked(mnnvl_fit(page->fit.fit.values), *page);
  }
}

Calibration assemble(const std::vector<Page>& pages) {
  Calibration calibration;
  assemble_gemm(calibration, pages);
  assemble_attention(calibration, pages);
  assemble_network(calibration, pages);
  return calibration;
}

// Values are read by position, so a page must have the parameters of its equations: those of a carried page.
void check_parameters(const FamilyFit& page, const std::string& origin) {
  const auto names = [](const FamilyFit& fit) {
    std::vector<std::string> list;
    for (const Parameter& parameter : fit.parameters) list.push_back(parameter.name);
    return list;
  };
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    const std::string name(entry.name);
    for (const FamilyFit& known : read_pages(parse_json(entry.text, name), name)) {
      const bool quantised = known.key.operation != "gemm" || (known.key.dtype == "bfloat16") == (page.key.dtype == "bfloat16");
      if (known.key.operation == page.key.operation && quantised && names(known) == names(page)) return;
    }
  }
  throw SpecError(origin + "#/families", fmt::format("the page {} {} {} has not the parameters of its equations; write it with "
                                                     "`moeline fit`",
                                                     page.key.operation, page.key.library, page.key.dtype));
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
  std::vector<Page> pages;
  std::string taken;
  for (const Lender& lender : lenders(*gpu)) {
    for (const CatalogueEntry& entry : calibration_catalogue()) {
      if (entry.name != lender.name) continue;
      const std::string origin = "calibration/" + std::string(entry.name) + ".json";
      const bool own = entry.name == cluster.name;
      for (FamilyFit& fit : read_pages(parse_json(entry.text, origin), origin)) {
        pages.push_back({std::move(fit), own, lender.widening});
      }
      taken += fmt::format("{}{}{}", taken.empty() ? "" : ", ", lender.name, own ? "" : " (borrowed)");
    }
  }
  if (pages.empty()) return {};
  note = "calibration: " + taken;
  return assemble(pages);
}

Calibration calibration_from(const Json& json, const std::string& origin, const Cluster& cluster, std::string& note) {
  std::vector<Page> pages;
  for (FamilyFit& fit : read_pages(json, origin)) {
    check_parameters(fit, origin);
    const bool own = fit.key.device == cluster.name;
    note = fmt::format("calibration: {}{}", origin, own ? "" : fmt::format(" (measured on {})", fit.key.device));
    pages.push_back({std::move(fit), own, kStranger});
  }
  return assemble(pages);
}

}  // namespace moeline
