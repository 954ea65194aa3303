#include "fit/calibration_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "fit/attention_data.hpp"
#include "fit/deepep_data.hpp"
#include "fit/deepgemm_data.hpp"
#include "fit/device_names.hpp"
#include "fit/gemm_data.hpp"
#include "fit/layer_data.hpp"
#include "fit/lending.hpp"
#include "fit/mnnvl_data.hpp"
#include "fit/nccl_data.hpp"
#include "fit/pages.hpp"
#include "fit/records.hpp"
#include "fit/serving_pages.hpp"
#include "fit/training_gemm_data.hpp"
#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

// Libraries whose rows price a training step, by format, the better first. On a device that was measured with others only,
// as one's own records are, any will do.
struct Libraries {
  std::string_view dtype, first, second;
};
constexpr Libraries kLibraries[]{
    {"bfloat16", "trtllm", "trtllm"}, {"fp8", "trtllm", "trtllm"},
    {"fp8_block", "sglang", "deepgemm"}, {"nvfp4", "trtllm", "trtllm"}, {"mxfp8", "", ""}};

// Pages are in order of their lenders.
const Page* nearer(const Page* a, const Page* b) {
  if (a == nullptr || b == nullptr) return a == nullptr ? b : a;
  return std::min(a, b);
}

// Products in 16 bit of a device without those of TensorRT-LLM, grouped ones of the same machine with them. An eager
// launch belongs to the host that made it.
void assemble_older_gemm(Calibration& calibration, const std::vector<Page>& pages) {
  GemmFit& bf16 = calibration.gemm_bf16;
  const Page* training = find_page(pages, "training_gemm");
  const Page* eager = find_page(pages, "gemm", "pytorch", "float16");
  if (eager != nullptr && nearer(eager, training) == eager) {
    bf16 = marked(gemm_fit(eager->fit.key, eager->fit.fit.values), *eager);
    bf16.launch = training != nullptr ? training_gemm_fit(training->fit.fit.values).launch : Seconds{};
  } else if (training != nullptr) {
    bf16 = marked(training_gemm_fit(training->fit.fit.values), *training);
    const Page* grouped = find_page(pages, "grouped_gemm", "te");
    if (grouped != nullptr && grouped->fit.key.device == training->fit.key.device) {
      calibration.grouped_bf16 = marked(grouped_training_gemm_fit(grouped->fit.fit.values), *grouped);
    }
  }
}

// A pass of our own records, quantisers apart, or PyTorch's. Those of vLLM (33 to 98 % on H100) serve, and price no training
// step.
std::optional<double> pass_share(const FamilyFit& fit) {
  const FamilyKey& key = fit.key;
  if (key.operation != "memory_pass") return std::nullopt;
  if (fit.parameters.size() == memory_parameters().size() && key.library.find("-quantise") == std::string::npos)
    return memory_fit(fit.fit.values).memory;
  if (key.library.starts_with("pytorch-")) return memory_pass_share(fit.fit.values);
  return std::nullopt;
}

// Share of the bandwidth that passes reach: mean of the logs over the kernels of the nearest device.
std::optional<double> pass_share(const std::vector<Page>& pages) {
  double logs = 0, kernels = 0;
  std::string_view device;
  for (const Page& page : pages) {
    const std::optional<double> share = pass_share(page.fit);
    if (!share) continue;
    if (device.empty()) device = page.fit.key.device;
    if (page.fit.key.device != device) continue;
    logs += std::log(*share);
    ++kernels;
  }
  return kernels > 0 ? std::optional(std::exp(logs / kernels)) : std::nullopt;
}

// The page that prices an operation in a format: of the nearest device that has one the library named first, then the other,
// then the one measured most.
const Page* chosen_page(const std::vector<Page>& pages, std::string_view operation, const Libraries& libraries) {
  const Page* best = nullptr;
  const auto merit = [&](const Page& page) {
    const std::string& library = page.fit.key.library;
    return std::tuple(library == libraries.first, library == libraries.second, page.fit.fitted.n);
  };
  for (const Page& page : pages) {  // nearest first
    const FamilyKey& key = page.fit.key;
    if (key.operation != operation || key.dtype != libraries.dtype) continue;
    if (best == nullptr || (key.device == best->fit.key.device && merit(page) > merit(*best))) best = &page;
  }
  return best;
}

// "; products as trtllm runs bfloat16, fp8, sglang runs fp8_block"
std::string products_note(const std::vector<Page>& pages) {
  std::vector<std::pair<std::string, std::string>> by_library;
  for (const Libraries& libraries : kLibraries) {
    const Page* page = chosen_page(pages, "gemm", libraries);
    if (page == nullptr) continue;
    const FamilyKey& key = page->fit.key;
    const auto known = std::ranges::find(by_library, key.library, &std::pair<std::string, std::string>::first);
    if (known == by_library.end()) {
      by_library.emplace_back(key.library, key.dtype);
    } else {
      known->second += ", " + key.dtype;
    }
  }
  std::string note;
  for (const auto& [library, formats] : by_library) {
    note += fmt::format("{} {} runs {}", note.empty() ? "; products as" : ",", library, formats);
  }
  return note;
}

// Grouped products of our own records price those of their device. Not Transformer Engine's: that machine runs far below
// others of its kind, and tells only what an expert costs.
void assemble_own_grouped(Calibration& calibration, const std::vector<Page>& pages) {
  for (const auto& [dtype, fit] :
       {std::pair{"bf16", &calibration.grouped_bf16}, std::pair{"mxfp8", &calibration.grouped_mxfp8}}) {
    const Page* page = chosen_page(pages, "grouped_gemm", {dtype, "", ""});
    if (page == nullptr || !page->own || page->fit.key.library == "te") continue;
    *fit = marked(grouped_training_gemm_fit(page->fit.fit.values), *page);
  }
}

void assemble_gemm(Calibration& calibration, const std::vector<Page>& pages) {
  GemmFit* const fits[]{&calibration.gemm_bf16, &calibration.gemm_fp8, &calibration.gemm_fp8_block,
                        &calibration.gemm_fp4, &calibration.gemm_mxfp8};
  for (std::size_t i = 0; i < std::size(kLibraries); ++i) {
    const Page* page = chosen_page(pages, "gemm", kLibraries[i]);
    if (page == nullptr) continue;
    *fits[i] = corrected(gemm_fit(page->fit.key, page->fit.fit.values), *page);
  }
  if (calibration.gemm_bf16.source == Source::bound) assemble_older_gemm(calibration, pages);
  if (calibration.gemm_bf16.source == Source::bound) return;
  // The contiguous layout is that of training; the masked one decodes.
  if (const Page* page = find_page(pages, "grouped_gemm", "deepgemm", "fp8_block")) {
    calibration.grouped_fp8_block = marked(grouped_gemm_fit(page->fit.key, page->fit.fit.values), *page);
  }
  assemble_own_grouped(calibration, pages);
  // On the machine that measured both, grouped products run their main loop at 1.06 of the dense rate: what grouping
  // adds is a cost per expert, host gap included. That machine runs far below others of its kind, so only this is taken.
  if (const Page* page = find_page(pages, "grouped_gemm", "te")) {
    const Seconds expert = grouped_training_gemm_fit(page->fit.fit.values).expert;
    for (GemmFit* fit : fits) fit->expert = expert;
  }
  // A product inside a step launches one kernel; its quantiser is an op of its own.
  for (GemmFit* fit : {&calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4, &calibration.gemm_mxfp8}) {
    if (fit->source != Source::bound) fit->launch = calibration.gemm_bf16.launch;
  }
  // Passes over memory that were not measured alone stream as well as a product's operands do.
  calibration.memory = {.launch = calibration.gemm_bf16.launch, .memory = pass_share(pages).value_or(calibration.gemm_bf16.memory),
                        .spread = widened(calibration.gemm_bf16.spread, 2), .source = Source::extrapolated};
}

// Forward from the serving rows, which are many; backward from the training rows, as a share of the forward rate.
void assemble_attention(Calibration& calibration, const std::vector<Page>& pages) {
  const Page* training = find_page(pages, "attention_backward");
  const auto with_backward = [&](const Page& page) {
    PrefillFit fit = corrected(prefill_fit(page.fit.key, page.fit.fit.values), page);
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
  for (const auto& [operation, fit] : {std::pair{"prefill", &calibration.attention}, std::pair{"mla_prefill", &calibration.latent_attention}}) {
    const Page* page = nearer(find_page(pages, operation, "trtllm", "bf16/bf16"),
                              find_page(pages, operation, "fa3", "bf16/bf16"));
    if (page != nullptr) *fit = with_backward(*page);
    if (page == nullptr && training != nullptr)
      *fit = marked(prefill_fit(training->fit.key, training->fit.fit.values), *training);
  }
}

// What arrives of a link's nominal rate where nothing else is known of it: what DeepEP reaches of 50 GB/s NICs between nodes of
// Hopper, 0.93 to 0.97 in four pages. One pair of H100 nodes reached 0.70 with single sends (microsoft/vidur@7d47513).
constexpr double kNominalShare = 0.95, kNominalSpread = 0.2;

void assemble_network(Calibration& calibration, const std::vector<Page>& pages) {
  calibration.link = {.launch = {}, .link = kNominalShare, .spread = even_spread(kNominalSpread), .source = Source::extrapolated};
  if (const Page* page = chosen_page(pages, "collective", {"all", "nccl", "nccl"}))
    calibration.nccl = marked(nccl_fit(page->fit.fit.values), *page);
  DeepEpFits& deepep = calibration.deepep;
  for (const auto& [operation, fit] :
       {std::pair{"deepep_normal_dispatch", &deepep.dispatch}, std::pair{"deepep_normal_combine", &deepep.combine},
        std::pair{"deepep_nodes_dispatch", &deepep.nodes_dispatch},
        std::pair{"deepep_nodes_combine", &deepep.nodes_combine}}) {
    const Page* page = find_page(pages, operation);
    if (page != nullptr) *fit = corrected(deepep_fit(page->fit.key, page->fit.fit.values), *page);
  }
  for (const auto& [operation, fit] : {std::pair{"mnnvl_dispatch", &calibration.mnnvl.dispatch},
                                       std::pair{"mnnvl_combine", &calibration.mnnvl.combine}}) {
    const Page* page = find_page(pages, operation, "trtllm-one-sided");
    if (page != nullptr) *fit = corrected(mnnvl_fit(page->fit.fit.values), *page);
  }
}

// Host time of one op of the list in Megatron-LM without CUDA graphs: vTrain's smallest steps on one node take 3.3 ms a layer
// and micro-batch, whatever tp and micro-batch are, for 61 ops.
constexpr Seconds kHostIssue = 54 * microsecond;

Calibration assemble(const std::vector<Page>& pages) {
  Calibration calibration;
  assemble_gemm(calibration, pages);
  assemble_attention(calibration, pages);
  assemble_network(calibration, pages);
  calibration.host = {.op = kHostIssue, .source = Source::extrapolated};
  return calibration;
}

// Values are read by position, so a page must have the parameters of its equations: those of a carried page.
void check_parameters(const FamilyFit& page, const std::string& origin) {
  const auto names = [](const FamilyFit& fit) {
    std::vector<std::string> list;
    for (const Parameter& parameter : fit.parameters) list.push_back(parameter.name);
    return list;
  };
  if (page.key.operation == "memory_pass" && names(page) == names({.parameters = memory_parameters()})) return;
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    const std::string name(entry.name);
    for (const FamilyFit& known : read_pages(parse_json(entry.text, name), name)) {
      if (known.key.operation == page.key.operation && names(known) == names(page)) return;
    }
  }
  throw SpecError(origin + "#/families",
                  fmt::format("the page {} {} {} has not the parameters of its equations; write it with "
                              "`moeline fit`",
                              page.key.operation, page.key.library, page.key.dtype));
}

}  // namespace

namespace {

// Products on relatives of the B200 borrow its pages; what they lose at the power limit is their own.
//   B300, 1,100 W: 0.45 of the B200's loss; one figure, BF16 Fprop of Transformer Engine's gemm_profiling table, 4.196 ms for
//   four layers (docs/theory/mxfp8.md)
//   GB300, 1,400 W: none, and GB200: the B200's clock on 152 multiprocessors, whatever its datasheet peak; both from dense
//   FP8 and MXFP8 steps of Megatron-Bridge, where GB300 runs 1.20 to 1.24 times as fast as GB200 and that 1.03 times as fast
//   as the B200 (docs/accuracy.md, whole steps)
constexpr double kUltraThrottle = 0.45, kUltraSuperchipThrottle = 0;
constexpr double kSuperchipClock = 4500.0 / 5000 * 152 / 148;
// Loops of FP4 products on the B200 throttle by 0.37 to 0.40 of their rate; in a step, half of whose time lies between such products,
// they do not: read off the NVFP4 steps of GB200 of the same source. Of the B300 the loop's own figure is known.
constexpr double kThrottleOfFp4Steps = 0;

// At the power limit voltage follows the clock, so that power goes with its cube: a card of less power than the one measured, for
// the same peak, sustains the cube root of that share of its clock. 300 W and 400 W A100 (stas00/ml-engineering, best products)
// differ by the power 0.24 of their limits, not by 0.33: the law is an upper bound of the loss.
void cap_power(Calibration& calibration, const Gpu& gpu, const Gpu& lender) {
  const double share = (gpu.power_cap.value / lender.power_cap.value) * (lender.dense_peak.bf16->value / gpu.dense_peak.bf16->value);
  if (gpu.architecture != lender.architecture || share >= 1) return;
  const double clock = std::cbrt(share);
  for (GemmFit* fit : {&calibration.gemm_bf16, &calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4}) {
    fit->throttle = 1 - (1 - fit->throttle) * clock;
  }
  for (PrefillFit* fit : {&calibration.attention, &calibration.latent_attention}) fit->sag = (1 + fit->sag) / clock - 1;
}

void set_throttle(Calibration& calibration, const Cluster& cluster, const std::vector<Page>& pages) {
  const Gpu* gpu = std::get_if<Gpu>(&cluster.device);
  const Page* products = chosen_page(pages, "gemm", kLibraries[0]);
  if (gpu != nullptr && products != nullptr) cap_power(calibration, *gpu, gpu_named(products->fit.key.device));
  if (gpu == nullptr || (gpu->architecture != "sm_100" && gpu->architecture != "sm_103")) return;
  if (gpu->architecture == "sm_100") calibration.gemm_fp4.throttle = kThrottleOfFp4Steps;
  const bool superchip = cluster.fabric[0].span.value > 8;
  for (GemmFit* fit : {&calibration.gemm_bf16, &calibration.gemm_fp8, &calibration.gemm_fp8_block, &calibration.gemm_fp4}) {
    if (fit->source != Source::extrapolated) continue;
    if (gpu->architecture == "sm_103") {
      fit->throttle *= superchip ? kUltraSuperchipThrottle : kUltraThrottle;
    } else if (superchip) {
      fit->throttle = 1 - (1 - fit->throttle) * kSuperchipClock;
    }
  }
}

}  // namespace

Calibration calibration_for(const Cluster& cluster, std::string& note, bool serving) {
  note = "calibration: none for this device, datasheet bounds";
  std::string taken;
  std::vector<Page> pages = carried_pages(cluster, taken, serving);
  if (serving) lend_to_strangers(pages, cluster, taken);
  if (pages.empty()) return {};
  note = "calibration: " + taken + products_note(pages);
  Calibration calibration = assemble(pages);
  if (serving) calibration.serving = serving_fits(pages);
  set_throttle(calibration, cluster, pages);
  return calibration;
}

Calibration calibration_from(const Json& json, const std::string& origin, const Cluster& cluster, std::string& note) {
  std::vector<Page> pages;
  for (FamilyFit& fit : read_pages(json, origin)) {
    check_parameters(fit, origin);
    const bool own = fit.key.device == cluster.name;
    note = fmt::format("calibration: {}{}", origin, own ? "" : fmt::format(" (measured on {})", fit.key.device));
    pages.push_back({std::move(fit), own, kStranger});
  }
  Calibration calibration = assemble(pages);
  calibration.serving = serving_fits(pages);
  return calibration;
}

namespace {

// "b200-sxm:te": the carried pages of a machine, and in bf16 those of one library alone price products and attention. A
// machine that was measured through one library only is told apart this way from others of its kind.
std::optional<Calibration> calibration_of_library(const std::string& name, const Cluster& cluster, std::string& note) {
  const std::size_t colon = name.find(':');
  if (colon == std::string::npos || !has_profile(name.substr(0, colon))) return std::nullopt;
  const std::string library = name.substr(colon + 1);
  std::string taken;
  std::vector<Page> pages = carried_pages(cluster, taken, false);
  if (find_page(pages, "training_gemm", library) == nullptr) {
    throw SpecError("calibration", fmt::format("\"{}\": no products of training were measured with \"{}\" there", name, library));
  }
  std::erase_if(pages, [](const Page& page) {
    const FamilyKey& key = page.fit.key;
    const bool other = key.operation == "gemm" && key.dtype != "fp8" && key.dtype != "fp8_block" && key.dtype != "nvfp4";
    return other || key.operation == "prefill" || key.operation == "mla_prefill";
  });
  note = fmt::format("calibration: {}, products and attention as {} measured them", taken, library);
  return assemble(pages);
}

}  // namespace

Calibration calibration_named(const std::string& name, const Cluster& cluster, std::string& note, bool serving) {
  note = "calibration: none, datasheet bounds";
  if (name == "none") return {};
  if (name == "auto") return calibration_for(cluster, note, serving);
  if (std::optional<Calibration> own = calibration_of_library(name, cluster, note)) return *std::move(own);
  return calibration_from(parse_json(read_file(name), name), name, cluster, note);
}

}  // namespace moeline
