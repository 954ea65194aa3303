#include "fit/serving_pages.hpp"

#include <algorithm>
#include <optional>

#include "fit/attention_data.hpp"
#include "fit/deepep_data.hpp"
#include "fit/framework_all_reduce_data.hpp"
#include "fit/moe_data.hpp"

namespace moeline {
namespace {

// The first page of the operation whose cache has this format.
const Page* decode_page(const std::vector<Page>& pages, std::string_view operation, std::string_view cache) {
  for (const Page& page : pages) {
    const FamilyKey& key = page.fit.key;
    if (key.operation == operation && key.dtype.ends_with(cache)) return &page;
  }
  return nullptr;
}

// A cache format that was not measured takes the other's parameters, which are shares of bandwidth and latencies.
void read_decode(DecodeFits& fits, const std::vector<Page>& pages, std::string_view operation) {
  const Page* bf16 = decode_page(pages, operation, "/bf16");
  const Page* fp8 = decode_page(pages, operation, "/fp8");
  const auto read = [](const Page& page) { return corrected(decode_fit(page.fit.key, page.fit.fit.values), page); };
  if (bf16 == nullptr) bf16 = fp8;
  if (fp8 == nullptr) fp8 = bf16;
  if (bf16 == nullptr) return;
  fits = {read(*bf16), read(*fp8)};
}

std::optional<Stack> stack_of(const std::string& library) {
  if (library.starts_with("moe_torch") || library.starts_with("deepgemm")) return Stack::trtllm;
  if (library.starts_with("sglang") || library.starts_with("deepepmoe")) return Stack::sglang;
  if (library.starts_with("vllm")) return Stack::vllm;
  return std::nullopt;
}

struct Formats {
  DType weights, activations;
};
std::optional<Formats> formats_of(std::string_view dtype) {
  using enum DType;
  if (dtype == "bfloat16") return Formats{bf16, bf16};
  if (dtype == "fp8") return Formats{fp8, fp8};
  if (dtype == "fp8_block") return Formats{fp8_block, fp8_block};
  if (dtype == "nvfp4") return Formats{nvfp4, nvfp4};
  if (dtype == "w4a16_mxfp4") return Formats{mxfp4, bf16};
  if (dtype == "w4a8_mxfp4_mxfp8") return Formats{mxfp4, mxfp8};
  return std::nullopt;
}

void read_experts(ServingFits& fits, const std::vector<Page>& pages) {
  for (const Page& page : pages) {
    const FamilyKey& key = page.fit.key;
    if (key.operation != "moe_op") continue;
    const std::optional<Stack> stack = stack_of(key.library);
    const std::optional<Formats> formats = formats_of(key.dtype);
    const bool other_layer = key.library.find("nongated") != std::string::npos || key.library.find("situ") != std::string::npos;
    if (!stack || !formats || other_layer) continue;
    const bool known = std::any_of(fits.experts.begin(), fits.experts.end(), [&](const ExpertKernel& k) {
      return k.library == key.library && k.weights == formats->weights && k.activations == formats->activations;
    });
    if (known) continue;
    ExpertKernel kernel{.stack = *stack, .library = key.library, .weights = formats->weights, .activations = formats->activations};
    kernel.fit = moe_op_fit(page.fit.fit.values);
    kernel.fit.source = page.own ? Source::fitted : Source::extrapolated;
    kernel.spread = spread_of(page);
    if (!page.fit.surface.empty()) kernel.surface = std::make_shared<const Surface>(page.fit.surface);
    kernel.exchanged = key.library.starts_with("deepepmoe");
    kernel.decode = key.library.ends_with("generation");
    fits.experts.push_back(std::move(kernel));
  }
}

void read_network(ServingFits& fits, const std::vector<Page>& pages) {
  for (const Stack stack : {Stack::trtllm, Stack::vllm, Stack::sglang}) {
    const Page* page = find_page(pages, "framework_all_reduce", name(stack));
    if (page != nullptr) {
      fits.all_reduce[static_cast<std::size_t>(stack)] = marked(framework_all_reduce_fit(page->fit.fit.values), *page);
    }
  }
  LowLatencyFits& low = fits.low_latency;
  for (const auto& [operation, fit] : {std::pair{"deepep_low_latency_dispatch", &low.dispatch},
                                       std::pair{"deepep_low_latency_combine", &low.combine},
                                       std::pair{"deepep_low_latency_nodes_dispatch", &low.nodes_dispatch},
                                       std::pair{"deepep_low_latency_nodes_combine", &low.nodes_combine}}) {
    const Page* page = find_page(pages, operation);
    if (page != nullptr) *fit = corrected(deepep_low_latency_fit(page->fit.key, page->fit.fit.values), *page);
  }
}

}  // namespace

std::shared_ptr<const ServingFits> serving_fits(const std::vector<Page>& pages) {
  auto fits = std::make_shared<ServingFits>();
  read_decode(fits->decode, pages, "decode");
  read_decode(fits->latent_decode, pages, "mla_decode");
  read_experts(*fits, pages);
  read_network(*fits, pages);
  return fits;
}

}  // namespace moeline
