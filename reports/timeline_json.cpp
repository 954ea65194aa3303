#include "reports/timeline_json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace moeline {
namespace {

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

// A pair is written once, at its forward.
Json stage_json(const std::vector<TimedPass>& passes, std::size_t most) {
  Json list = Json::array();
  for (std::size_t i = 0; i < passes.size() && list.size() < most; ++i) {
    const TimedPass& p = passes[i];
    list.push_back(Json::array({letter(p.pass), p.pass.micro_batch, p.pass.chunk, p.start.in(second), p.finish.in(second)}));
    if (p.pass.paired) ++i;
  }
  return list;
}

Json ops_json(const std::vector<TracedOp>& ops, const char* phase, std::size_t chunk) {
  Seconds end;
  Json list = Json::array();
  for (const TracedOp& op : ops) {
    end = max(end, op.finish);
    list.push_back(Json{{"name", op.name},
                        {"lane", name(op.lane)},
                        {"start", op.start.in(second)},
                        {"finish", op.finish.in(second)},
                        {"bound_by", op.cost.bound_by}});
  }
  return Json{{"phase", phase}, {"where", "chunk " + std::to_string(chunk)}, {"seconds", end.in(second)}, {"ops", list}};
}

}  // namespace

Json timeline_json(const StepTrace& trace, std::size_t most) {
  Json out{{"makespan_seconds", trace.makespan.in(second)}, {"stages", Json::array()}, {"ops", Json::array()}};
  std::size_t passes = 0, written = 0;
  const std::size_t share = most / std::max<std::size_t>(1, trace.stages.size());
  for (const std::vector<TimedPass>& stage : trace.stages) {
    out["stages"].push_back(stage_json(stage, share));
    passes += stage.size();
    written += std::min(stage.size(), share);
  }
  out["passes"] = passes;
  out["cut_short"] = written < passes;
  if (trace.chunks.empty()) return out;
  // A chunk from the middle: neither embedding nor head.
  const std::size_t middle = trace.chunks.size() / 2;
  const ChunkOps& ops = trace.chunks[middle];
  if (!ops.forward.empty()) out["ops"].push_back(ops_json(ops.forward, "forward", middle));
  if (!ops.backward.empty()) out["ops"].push_back(ops_json(ops.backward, "backward", middle));
  return out;
}

}  // namespace moeline
