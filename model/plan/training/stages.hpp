// Which layers does each pipeline stage hold?
//
// Given: Megatron's layout string, "Et*4|(t*4|)*14tmL": E embedding, t a layer, m an MTP module, L head and loss, |
// between chunks. Not given, as Megatron-Core does it: equally many layers per chunk; if that does not come out, equally
// many counting embedding and loss as a layer each; if that does not either, the contiguous cut that evens out time
// (least sum of squared chunk times), as people tune it by hand.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "error.hpp"
#include "memory/footprint.hpp"
#include "plan/training/pipeline.hpp"
#include "spec/llm.hpp"

namespace moeline {

// Forward plus backward time of the model's parts, for the even cut.
struct PartTimes {
  std::vector<Seconds> kind;  // by ModelSpec::kinds
  Seconds embedding, head, mtp;
};

// pp x vpp chunks in model order; micro_batches is left at 1.
using Chunks = std::vector<StageContent>;

// The contiguous cuts that even out time, for any number of chunks; what cuts share is worked out once.
//   best[c][i] = min over j of best[c-1][j] + (time of items j..i)^2      the first i items in c chunks, none empty
// The best j grows with c and with i (Knuth 1971), so that a row costs about as many steps as there are items.
class EvenCuts {
 public:
  EvenCuts(const ModelSpec& model, std::int64_t mtp_modules, const PartTimes& times);
  Chunks chunks(std::int64_t count);

 private:
  void add_row();

  const ModelSpec* model_;  // outlives this
  std::string items_;
  std::size_t places() const { return items_.size() + 1; }
  const int* row(std::size_t chunks) const { return cuts_.data() + chunks * places(); }

  std::vector<double> prefix_;        // time of the first i items
  std::vector<double> best_, before_;  // of the last row, and of the one before it
  std::vector<int> cuts_;             // by chunks, then by items: where the last chunk begins
};

// As Megatron-Core cuts; none where equal chunks do not come out.
std::optional<Chunks> equal_chunks(const ModelSpec& model, std::int64_t mtp_modules, std::int64_t chunks);
std::variant<Chunks, Infeasible> parse_layout(const std::string& layout, const ModelSpec& model,
                                              std::int64_t mtp_modules, std::int64_t chunks);
// All chunks that a stage runs, as one.
StageContent whole_stage(const Chunks& chunks, const PipelineProblem& pipeline, std::int64_t stage);
// The inverse of parse_layout: one character an item, no repetitions.
std::string layout_text(const Chunks& chunks);

}  // namespace moeline
