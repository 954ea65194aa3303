#include "reports/trace_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spec/json.hpp"

namespace moeline {
namespace {

enum Thread { kPasses = 1, kNetwork = 2, kRest = 3 };

// Whole nanoseconds: rounding that keeps order keeps slices nested and apart.
std::int64_t nanoseconds(Seconds time) { return std::llround(time.in(second) * 1e9); }

class Writer {
 public:
  Writer(const StepTrace& trace, std::size_t most) : trace_(trace), most_(most) {}

  std::string write() {
    for (const TracedRest& rest : trace_.before) before_ += rest.length;
    for (std::size_t stage = 0; stage < trace_.stages.size(); ++stage) name_lanes(stage);
    for (std::size_t stage = 0; stage < trace_.stages.size(); ++stage) passes(stage);
    for (std::size_t stage = 0; stage < trace_.stages.size(); ++stage) rest(stage);
    arrows();
    const bool all = ops();
    out_ += fmt::format("\n],\"displayTimeUnit\":\"ms\",\"otherData\":{{\"title\":{},\"step_seconds\":{:.9g},\"ops\":{}}}}}\n",
                        Json(trace_.title).dump(), trace_.step.in(second),
                        all ? "\"of all passes\"" : "\"of the earliest passes alone\"");
    return std::move(out_);
  }

 private:
  const std::vector<TimedPass>& stage_at(std::size_t stage) const { return trace_.stages[stage]; }
  const PipelineProblem& pipeline() const { return trace_.pipeline; }

  void event(const std::string& text) {
    out_ += events_++ == 0 ? "{\"traceEvents\":[\n" : ",\n";
    out_ += text;
  }
  void slice(std::size_t stage, Thread thread, const std::string& name, std::string_view category, Seconds start, Seconds finish,
             const std::string& args) {
    const std::int64_t from = nanoseconds(start), to = nanoseconds(finish);
    event(fmt::format(R"({{"ph":"X","pid":{},"tid":{},"name":{},"cat":"{}","ts":{:.3f},"dur":{:.3f},"args":{{{}}}}})", stage, int{thread},
                      Json(name).dump(), category, 1e-3 * static_cast<double>(from), 1e-3 * static_cast<double>(to - from), args));
  }
  void name_lanes(std::size_t stage) {
    const auto meta = [&](const char* what, int thread, const std::string& name) {
      event(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"{}","args":{{"name":"{}"}}}})", stage, thread, what, name));
    };
    meta("process_name", 0, fmt::format("stage {}", stage));
    event(fmt::format(R"({{"ph":"M","pid":{},"tid":0,"name":"process_sort_index","args":{{"sort_index":{}}}}})", stage, stage));
    meta("thread_name", kPasses, "passes, compute");
    meta("thread_name", kNetwork, "network");
    meta("thread_name", kRest, "rest of the step");
  }

  std::string label(std::size_t stage, const Pass& pass) const {
    const char* kind = pass.kind == PassKind::forward ? "F" : pass.kind == PassKind::weight_gradient ? "W" : "B";
    // Names differ but for their numbers where colours should.
    return fmt::format("{}{} {}", kind, pass.chunk > 0 ? "'" : "", trace_.micro_batch(stage, pass));
  }
  std::string pass_args(std::size_t stage, const Pass& pass) const {
    return fmt::format(R"("micro_batch":{},"chunk":{})", trace_.micro_batch(stage, pass), trace_.chunk(stage, pass));
  }

  void passes(std::size_t stage) {
    const auto& list = stage_at(stage);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const TimedPass& one = list[i];
      std::string name = label(stage, one.pass), args = pass_args(stage, one.pass);
      std::string_view category = one.pass.kind == PassKind::forward ? "forward" : one.pass.kind == PassKind::weight_gradient ? "weight" : "backward";
      if (one.pass.paired) {
        name += " & " + label(stage, list[++i].pass);
        args += fmt::format(R"(,"backward_micro_batch":{})", trace_.micro_batch(stage, list[i].pass));
        category = "paired";
      }
      slice(stage, kPasses, name, category, before_ + one.start, before_ + one.finish, args);
    }
  }

  void rest(std::size_t stage) {
    Seconds at = trace_.begins(stage);
    const auto lay = [&](const TracedRest& one) {
      const Seconds end = at + one.length;
      slice(stage, kRest, std::string(one.name), "rest", at, end, fmt::format(R"("lane":"{}")", moeline::name(one.lane)));
      at = end;
    };
    for (const TracedRest& one : trace_.before) lay(one);
    at += trace_.makespan;
    for (const TracedRest& one : trace_.after) lay(one);
  }

  // From the end of a pass to the start of the one that waits for it, on another stage.
  void arrows() {
    struct End {
      std::size_t stage = 0;
      Seconds time;
    };
    const auto micro_batches = static_cast<std::size_t>(pipeline().micro_batches);
    for (const bool forward : {true, false}) {
      std::vector<End> ends(pipeline().chunks.size() * micro_batches);
      const auto each = [&](auto visit) {
        for (std::size_t stage = 0; stage < trace_.stages.size(); ++stage) {
          for (const TimedPass& one : stage_at(stage)) {
            if (one.pass.kind == PassKind::weight_gradient || (one.pass.kind == PassKind::forward) != forward) continue;
            visit(stage, one, static_cast<std::size_t>(trace_.chunk(stage, one.pass)), static_cast<std::size_t>(one.pass.micro_batch));
          }
        }
      };
      each([&](std::size_t stage, const TimedPass& one, std::size_t c, std::size_t m) { ends[c * micro_batches + m] = {stage, one.finish}; });
      each([&](std::size_t stage, const TimedPass& one, std::size_t c, std::size_t m) {
        const bool first = forward ? pipeline().shape().enters(static_cast<std::int64_t>(c)) : pipeline().shape().leaves(static_cast<std::int64_t>(c));
        if (first) return;
        const End& end = ends[(forward ? c - 1 : c + 1) * micro_batches + m];
        if (end.stage != stage) arrow(end.stage, end.time, stage, one.start, forward);
      });
    }
  }
  void arrow(std::size_t from, Seconds sent, std::size_t to, Seconds received, bool forward) {
    const char* name = forward ? "activation" : "gradient";
    // A slice ends where the next begins: the arrow leaves a nanosecond before.
    const double left = 1e-3 * static_cast<double>(nanoseconds(before_ + sent) - 1), at = 1e-3 * static_cast<double>(nanoseconds(before_ + received));
    ++arrows_;
    event(fmt::format(R"({{"ph":"s","pid":{},"tid":{},"name":"{}","cat":"send","id":{},"ts":{:.3f}}})", from, int{kPasses}, name, arrows_, left));
    event(fmt::format(R"({{"ph":"f","bp":"e","pid":{},"tid":{},"name":"{}","cat":"send","id":{},"ts":{:.3f}}})", to, int{kPasses}, name, arrows_, at));
  }

  // Earliest passes first, on all stages alike; false: there was no room for all.
  bool ops() {
    struct Place {
      std::size_t stage, pass;
      Seconds start;
    };
    std::vector<Place> places;
    for (std::size_t stage = 0; stage < trace_.stages.size(); ++stage) {
      for (std::size_t i = 0; i < stage_at(stage).size(); ++i) {
        if (i == 0 || !stage_at(stage)[i - 1].pass.paired) places.push_back({stage, i, stage_at(stage)[i].start});
      }
    }
    std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.start < b.start; });
    for (const Place& place : places) {
      if (events_ >= most_) return false;
      ops_of(place.stage, place.pass);
    }
    return true;
  }

  void ops_of(std::size_t stage, std::size_t i) {
    const TimedPass& one = stage_at(stage)[i];
    const ChunkOps& chunk_ops = trace_.chunks[static_cast<std::size_t>(trace_.chunk(stage, one.pass))];
    if (one.pass.paired) {
      const ChunkOps& other = trace_.chunks[static_cast<std::size_t>(trace_.chunk(stage, stage_at(stage)[i + 1].pass))];
      for (const TracedOp& op : paired_ops(chunk_ops, other, one.finish - one.start)) op_slice(stage, one, op);
    } else {
      for (const TracedOp& op : chunk_ops.of(one.pass.kind)) op_slice(stage, one, op);
    }
  }
  void op_slice(std::size_t stage, const TimedPass& pass, const TracedOp& op) {
    const OpCost& c = op.cost;
    const std::string args =
        fmt::format(R"("group":"{}","flops":{:.6g},"bytes":{:.6g},"seconds_alone":{:.6g},"bound_by":{},"source":"{}")", op.group, c.flops.in(flop),
                    c.bytes.in(byte), c.time.in(second), Json(std::string(c.bound_by)).dump(), moeline::name(c.source));
    const auto at = [&](Seconds time) { return before_ + min(pass.finish, pass.start + time); };
    slice(stage, op.lane == Lane::compute ? kPasses : kNetwork, std::string(op.name), "op", at(op.start), at(op.finish), args);
  }

  const StepTrace& trace_;
  std::size_t most_, events_ = 0, arrows_ = 0;
  Seconds before_;
  std::string out_;
};

}  // namespace

std::string trace_json(const StepTrace& trace, std::size_t most) { return Writer(trace, most).write(); }

}  // namespace moeline
