#include "reports/timeline_json.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr std::size_t kMostOps = 1000;  // of one pass
constexpr std::size_t kWarmUps = 8;     // passes of an end, over pieces of the pipeline: some of warming up, the rest rounds

const char* letter(const Pass& pass) {
  if (pass.paired) return "P";
  switch (pass.kind) {
    case PassKind::forward: return "F";
    case PassKind::backward: return "B";
    case PassKind::input_gradient: return "I";
    case PassKind::weight_gradient: return "W";
  }
  return "F";
}

// Whole nanoseconds are as short as they are exact.
double rounded(Seconds time) { return std::round(time.in(second) * 1e9) / 1e9; }

Json rest_json(const std::vector<TracedRest>& rest) {
  Json list = Json::array();
  for (const TracedRest& one : rest) list.push_back(Json::array({one.name, name(one.lane), rounded(one.length)}));
  return list;
}

struct Span {
  Seconds from, to;
  bool holds(const TimedPass& pass) const { return pass.start >= from && pass.finish <= to; }
};

// All passes, or where there is no room for them the first and the last of every stage.
std::vector<Span> spans_of(const StepTrace& trace, std::size_t most) {
  const std::size_t pieces = static_cast<std::size_t>(trace.pipeline.stages * trace.pipeline.chunks_per_stage);
  const std::size_t room = std::max<std::size_t>(1, most / (2 * trace.stages.size())), share = std::min(room, kWarmUps * pieces);
  Span first, last;
  bool whole = true;
  for (const std::vector<TimedPass>& passes : trace.stages) {
    last.to = max(last.to, passes.back().finish);
    if (passes.size() <= 2 * room) continue;
    const Seconds end = passes[share - 1].finish, begin = passes[passes.size() - share].start;
    first.to = whole ? end : min(first.to, end);
    last.from = max(last.from, begin);
    whole = false;
  }
  return whole ? std::vector{last} : std::vector{first, last};
}

class Writer {
 public:
  explicit Writer(const StepTrace& trace) : trace_(trace) {
    for (const TracedRest& rest : trace.before) before_ += rest.length;
    for (std::size_t c = 0; c < trace.chunks.size(); ++c) kinds_.push_back(kind_of(c));
  }

  Json written(std::size_t most) {
    const std::vector<Span> spans = spans_of(trace_, most);
    Json out{{"step_seconds", rounded(trace_.step)}, {"makespan_seconds", rounded(trace_.makespan)},
             {"before", rest_json(trace_.before)},   {"after", rest_json(trace_.after)}};
    std::size_t passes = 0;
    for (std::size_t stage = 0; stage < trace_.stages.size(); ++stage) {
      passes += trace_.stages[stage].size();
      out["stages"].push_back(Json{{"begins", rounded(trace_.begins(stage))}, {"passes", passes_json(stage, spans)}});
    }
    for (const Span& span : spans) out["spans"].push_back(Json::array({rounded(before_ + span.from), rounded(before_ + span.to)}));
    out["passes"] = passes;
    out["names"] = std::move(names_);
    out["ops"] = std::move(ops_);
    return out;
  }

 private:
  // Chunks of the same layers are one kind; its number is that of the first.
  std::size_t kind_of(std::size_t c) const {
    const auto same = [&](std::size_t other) {
      return trace_.pipeline.chunks[other] == trace_.pipeline.chunks[c] && trace_.chunks[other].forward.size() == trace_.chunks[c].forward.size();
    };
    std::size_t first = 0;
    while (first < c && !same(first)) ++first;
    return first;
  }

  // A pair is written once, at its forward.
  Json passes_json(std::size_t stage, const std::vector<Span>& spans) {
    Json list = Json::array();
    const std::vector<TimedPass>& passes = trace_.stages[stage];
    for (std::size_t i = 0; i < passes.size(); ++i) {
      const TimedPass& one = passes[i];
      const std::size_t other = one.pass.paired ? ++i : i;
      if (std::none_of(spans.begin(), spans.end(), [&](const Span& span) { return span.holds(one); })) continue;
      list.push_back(Json::array({letter(one.pass), trace_.micro_batch(stage, one.pass), trace_.chunk(stage, one.pass), rounded(before_ + one.start),
                                  rounded(before_ + one.finish), ops_of(stage, one, passes[other].pass)}));
    }
    return list;
  }

  // The place of this pass' ops; written when first met.
  std::size_t ops_of(std::size_t stage, const TimedPass& one, const Pass& other) {
    const auto kind = [&](const Pass& pass) { return kinds_[static_cast<std::size_t>(trace_.chunk(stage, pass))]; };
    const std::size_t first = kind(one.pass), second = kind(other);
    const auto [place, fresh] = written_.emplace(std::tuple{letter(one.pass)[0], first, second}, written_.size());
    if (!fresh) return place->second;
    const Seconds length = one.finish - one.start;
    const std::vector<TracedOp> ops =
        one.pass.paired ? paired_ops(trace_.chunks[first], trace_.chunks[second], length) : trace_.chunks[first].of(one.pass.kind);
    Json list = Json::array();
    for (std::size_t i = 0; i < std::min(ops.size(), kMostOps); ++i) {
      list.push_back(Json::array({name_of(ops[i]), static_cast<int>(ops[i].lane), rounded(ops[i].start), rounded(min(ops[i].finish, length))}));
    }
    ops_.push_back(Json{{"kind", letter(one.pass)}, {"where", where(stage, one.pass)}, {"seconds", rounded(length)}, {"count", ops.size()}, {"ops", std::move(list)}});
    return place->second;
  }

  std::string where(std::size_t stage, const Pass& pass) const {
    const std::string text = "stage " + std::to_string(stage);
    return trace_.pipeline.chunks_per_stage > 1 ? text + ", chunk " + std::to_string(trace_.chunk(stage, pass)) : text;
  }

  std::size_t name_of(const TracedOp& op) {
    const auto [place, fresh] = places_.emplace(std::tuple{op.name, op.group, std::string_view(op.cost.bound_by)}, names_.size());
    if (fresh) names_.push_back(Json::array({op.name, op.group, op.cost.bound_by}));
    return place->second;
  }

  const StepTrace& trace_;
  Seconds before_;
  std::vector<std::size_t> kinds_;
  std::map<std::tuple<char, std::size_t, std::size_t>, std::size_t> written_;
  std::map<std::tuple<std::string_view, std::string_view, std::string_view>, std::size_t> places_;
  Json names_ = Json::array(), ops_ = Json::array();
};

}  // namespace

Json timeline_json(const StepTrace& trace, std::size_t most_passes) { return Writer(trace).written(most_passes); }

}  // namespace moeline
