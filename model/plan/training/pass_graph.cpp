#include "plan/training/pass_graph.hpp"

#include <algorithm>

#include "error.hpp"

namespace moeline {
namespace {

std::size_t count(std::int64_t number) { return static_cast<std::size_t>(number); }

PassLength length_of(const Pass& pass) {
  switch (pass.kind) {
    case PassKind::forward: return pass.paired ? PassLength::paired : PassLength::forward;
    case PassKind::backward: return PassLength::backward;
    case PassKind::input_gradient: return PassLength::input_gradient;
    case PassKind::weight_gradient: return PassLength::weight_gradient;
  }
  return {};
}

// Runs the passes without timing them, and writes down what happens.
class Writer {
 public:
  Writer(const OrderShape& shape, std::int64_t beats)
      : shape_(shape), micro_batches_(count(shape.micro_batches)),
        forward_done_(count(shape.stages * shape.chunks) * micro_batches_), backward_done_(forward_done_.size()) {
    for (std::int64_t s = 0; s < shape.stages; ++s) {
      const StageOrder& order = orders_.emplace_back(order_of(shape, s));
      const std::size_t first = graph_.nodes.size() + 1, passes = order.passes.size();
      graph_.nodes.resize(first + passes);
      graph_.stages.push_back({.first = first, .end = first + passes, .steady = first + order.steady,
                               .span = count(beats * beat(shape)) * passes / micro_batches_, .uses = {}});
      next_.push_back(first);
    }
    write_spans();
    const bool all = run([](const PassGraph::Stage& stage) { return stage.end; });
    MOELINE_EXPECT(all);  // no order here deadlocks
    for (PassGraph::Stage& stage : graph_.stages) count_uses(stage);
  }

  PassGraph take() { return std::move(graph_); }

 private:
  const Pass& pass_at(std::size_t stage, std::size_t slot) const { return orders_[stage].passes[slot - graph_.stages[stage].first]; }

  void write_spans() {
    for (std::size_t span = 1;; ++span) {
      const auto end = [&](const PassGraph::Stage& stage) { return stage.steady + span * stage.span; };
      for (std::size_t s = 0; s < graph_.stages.size(); ++s) {
        if (end(graph_.stages[s]) > graph_.stages[s].first + orders_[s].drain) return;
      }
      if (!run(end)) return;  // one waits for another's drain
      graph_.spans.push_back(graph_.sequence.size());
    }
  }

  // Every stage as far as to `end`; whether all came there.
  template <class End>
  bool run(End end) {
    for (bool moved = true; moved;) {
      moved = false;
      // Gradients come from the stage behind: from the last to the first, one sweep hands them all the way.
      for (std::size_t s = graph_.stages.size(); s-- > 0;) {
        while (next_[s] < end(graph_.stages[s]) && step(s)) moved = true;
      }
    }
    for (std::size_t s = 0; s < graph_.stages.size(); ++s) {
      if (next_[s] < end(graph_.stages[s])) return false;
    }
    return true;
  }

  bool step(std::size_t stage) {
    const std::size_t slot = next_[stage];
    const bool paired = pass_at(stage, slot).paired;
    if (!wire(stage, slot) || (paired && !wire(stage, slot + 1))) return false;
    graph_.sequence.push_back(static_cast<std::uint32_t>(slot));
    finish(stage);
    if (paired) finish(stage);
    return true;
  }

  std::size_t chunk_of(std::size_t stage, const Pass& pass) const {
    return count(shape_.chunk_at(static_cast<std::int64_t>(stage), pass.chunk));
  }

  // Whether what it waits for is done.
  bool wire(std::size_t stage, std::size_t slot) {
    const Pass& pass = pass_at(stage, slot);
    const std::size_t chunk = chunk_of(stage, pass), m = count(pass.micro_batch);
    const auto c = static_cast<std::int64_t>(chunk);
    PassGraph::Node& node = graph_.nodes[slot];
    node.length = static_cast<std::uint32_t>(chunk * kPassLengths + static_cast<std::size_t>(length_of(pass)));
    node.paired = pass.paired;
    if (pass.kind == PassKind::weight_gradient || (pass.kind == PassKind::forward && shape_.enters(c))) return true;
    const bool forward = pass.kind == PassKind::forward, turned = !forward && shape_.leaves(c);
    const std::size_t behind = turned ? chunk : forward ? chunk - 1 : chunk + 1;
    node.sent = !turned && !shape_.turns(forward ? c - 1 : c);
    node.input = (forward || turned ? forward_done_ : backward_done_)[behind * micro_batches_ + m];
    return node.input != 0;
  }

  void finish(std::size_t stage) {
    const std::size_t slot = next_[stage]++;
    const Pass& pass = pass_at(stage, slot);
    const std::size_t place = chunk_of(stage, pass) * micro_batches_ + count(pass.micro_batch);
    if (pass.kind == PassKind::forward) forward_done_[place] = static_cast<std::uint32_t>(slot);
    if (pass.kind == PassKind::backward || pass.kind == PassKind::input_gradient) backward_done_[place] = static_cast<std::uint32_t>(slot);
  }

  void count_uses(PassGraph::Stage& stage) {
    for (std::size_t slot = stage.first; slot < stage.end; ++slot) {
      if (slot > stage.first && graph_.nodes[slot - 1].paired) continue;  // counted with the first
      const std::size_t length = graph_.nodes[slot].length;
      auto use = std::ranges::find(stage.uses, length, &PassGraph::Use::length);
      if (use == stage.uses.end()) use = stage.uses.insert(use, {.length = length});
      ++use->in_all;
      if (slot >= stage.steady && slot < stage.steady + stage.span) ++use->in_a_span;
    }
  }

  const OrderShape& shape_;
  std::size_t micro_batches_;
  std::vector<StageOrder> orders_;
  std::vector<std::uint32_t> forward_done_, backward_done_;  // slots, by chunk and micro-batch; 0: not yet
  std::vector<std::size_t> next_;                            // slot, by stage
  PassGraph graph_;
};

}  // namespace

PassGraph pass_graph(const OrderShape& shape, std::int64_t beats) { return Writer(shape, beats).take(); }

std::size_t PassGraphs::Hash::operator()(const Key& key) const {
  const OrderShape& o = key.shape;
  return static_cast<std::size_t>((((o.micro_batches * 1024 + o.stages) * 64 + o.chunks) * 64 + key.beats) * 16 + static_cast<std::int64_t>(o.schedule));
}

const PassGraph& PassGraphs::of(const OrderShape& shape, std::int64_t beats) {
  const Key key{shape, beats};
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  if (slots_ > kMost) {
    known_.clear();
    slots_ = 0;
  }
  const PassGraph& made = known_.emplace(key, pass_graph(shape, beats)).first->second;
  slots_ += made.nodes.size();
  return made;
}

}  // namespace moeline
