// Which layers does each pipeline stage hold?
//
// Given: Megatron's layout string, "Et*4|(t*4|)*14tmL": E embedding, t a layer, m an MTP module, L head and loss, |
// between chunks. Not given, as Megatron-Core does it: equally many layers per chunk; if that does not come out, equally
// many counting embedding and loss as a layer each; if that does not either, the contiguous cut that evens out time
// (least sum of squared chunk times), as people tune it by hand.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "error.hpp"
#include "memory/footprint.hpp"
#include "spec/llm.hpp"

namespace moeline {

// Forward plus backward time of the model's parts, for the even cut.
struct PartTimes {
  std::vector<Seconds> kind;  // by ModelSpec::kinds
  Seconds embedding, head, mtp;
};

// pp x vpp chunks in model order; micro_batches is left at 1.
using Chunks = std::vector<StageContent>;

Chunks default_chunks(const ModelSpec& model, std::int64_t mtp_modules, std::int64_t chunks, const PartTimes& times);
Chunks even_chunks(const ModelSpec& model, std::int64_t mtp_modules, std::int64_t chunks, const PartTimes& times);
std::variant<Chunks, Infeasible> parse_layout(const std::string& layout, const ModelSpec& model,
                                              std::int64_t mtp_modules, std::int64_t chunks);
// The inverse of parse_layout: one character an item, no repetitions.
std::string layout_text(const Chunks& chunks);

}  // namespace moeline
