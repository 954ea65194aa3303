#include "fit/calibration_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fit/attention_data.hpp"
#include "fit/deepep_data.hpp"
#include "fit/gemm_data.hpp"
#include "fit/lending.hpp"
#include "fit/mnnvl_data.hpp"
#include "fit/nccl_data.hpp"
#include "fit/pages.hpp"
#include "fit/training_gemm_data.hpp"
#include "spec/catalogue.hpp"

namespace moeline {
namespace {

// Library whose rows price a training step, by format.
constexpr std::pair<std::string_view, std::string_view> kLibraries[]{
    {"bfloat16", "trtllm"}, {"fp8", "trtllm"}, {"fp8_block", "sglang"}, {"nvfp4", "trtllm"}};

template <class F>
F marked(F fit, const Page& page) {
  fit.source = page.own ? Source::fitted : Source::extrapolated;
  fit.spread = spread_of(page);
  return fit;
}

void assemble_gemm(Calibration& calibration, const std::vector<Page>& pages) {
  GemmFit* const fits[]{&calibration.gemm_bf16, &calibration.gemm_fp8, &calibration.gemm_fp8_block,
                        &calibration.gemm_fp4};
  for (std::size_t i = 0; i < std::size(kLibraries); ++i) {
    const Page* page = find_page(pages, "gemm", kLibraries[i].second, kLibraries[i].first);
    if (page != nullptr) *fits[i] = marked(gemm_fit(page->fit.key, page->fit.fit.values), *page);
  }
  if (const Page* page = find_page(pages, "training_gemm");
      page != nullptr && calibration.gemm_bf16.source == Source::bound) {
    calibration.gemm_bf16 = marked(training_gemm_fit(page->fit.fit.values), *page);
  }
  if (calibration.gemm_bf16.source == Source::bound) return;
  // On the machine that measured both, grouped products run their main loop at 1.06 of the dense rate: what grouping
  // adds is a cost per expert, host gap included.
  if (const Page* page = find_page(pages, "grouped_gemm")) {
    const Seconds expert = training_gemm_fit(page->fit.fit.values).expert;
    for (GemmFit* fit : fits) fit->expert = expert;
  }
  // A product inside a step launches one kernel; its quantiser is an op of its own.
  for (GemmFit* fit : {&calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4}) {
    if (fit->source != Source::bound) fit->launch = calibration.gemm_bf16.launch;
  }
  // Passes over memory were not measured alone: they stream as well as a product's operands do.
  calibration.memory = {.launch = calibration.gemm_bf16.launch,
                        .memory = calibration.gemm_bf16.memory,
                        .spread = widened(calibration.gemm_bf16.spread, 2),
                        .source = Source::extrapolated};
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
    const Spread trained = marked(back, *training).spread;
    if (trained.sigma.back() > fit.spread.sigma.back()) fit.spread = trained;
    if (&page != training) fit.source = Source::extrapolated;
    return fit;
  };
  for (const auto& [operation, fit] :
       {std::pair{"prefill", &calibration.attention}, std::pair{"mla_prefill", &calibration.latent_attention}}) {
    const Page* page = find_page(pages, operation, "trtllm", "bf16/bf16");
    if (page != nullptr) *fit = with_backward(*page);
    if (page == nullptr && training != nullptr)
      *fit = marked(prefill_fit(training->fit.key, training->fit.fit.values), *training);
  }
}

void assemble_network(Calibration& calibration, const std::vector<Page>& pages) {
  if (const Page* page = find_page(pages, "collective", "nccl"))
    calibration.nccl = marked(nccl_fit(page->fit.fit.values), *page);
  DeepEpFits& deepep = calibration.deepep;
  for (const auto& [operation, fit] :
       {std::pair{"deepep_normal_dispatch", &deepep.dispatch}, std::pair{"deepep_normal_combine", &deepep.combine},
        std::pair{"deepep_nodes_dispatch", &deepep.nodes_dispatch},
        std::pair{"deepep_nodes_combine", &deepep.nodes_combine}}) {
    const Page* page = find_page(pages, operation);
    if (page != nullptr) *fit = marked(deepep_fit(page->fit.key, page->fit.fit.values), *page);
  }
  for (const auto& [operation, fit] : {std::pair{"mnnvl_dispatch", &calibration.mnnvl.dispatch},
                                       std::pair{"mnnvl_combine", &calibration.mnnvl.combine}}) {
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
      const bool quantised =
          known.key.operation != "gemm" || (known.key.dtype == "bfloat16") == (page.key.dtype == "bfloat16");
      if (known.key.operation == page.key.operation && quantised && names(known) == names(page)) return;
    }
  }
  throw SpecError(origin + "#/families",
                  fmt::format("the page {} {} {} has not the parameters of its equations; write it with "
                              "`moeline fit`",
                              page.key.operation, page.key.library, page.key.dtype));
}

}  // namespace

Calibration calibration_for(const Cluster& cluster, std::string& note) {
  note = "calibration: none for this device, datasheet bounds";
  std::string taken;
  const std::vector<Page> pages = carried_pages(cluster, taken);
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
