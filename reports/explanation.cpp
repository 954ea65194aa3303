// The screen of `explain`.
#include "reports/explanation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

// Smaller changes than this are not worth a line.
constexpr double kVisible = 5e-5;

std::string percent(double change) { return fmt::format("{:+.2f} %", 100 * change); }

std::string inputs_text(const Explanation& e) {
  const bool served = std::holds_alternative<ServeEvaluation>(e.evaluation.answer);
  std::string out = fmt::format("  {:<38}{:>16}{:>12}{:>12}{}\n", "change of an input", "now", served ? "a token" : "time", "elasticity",
                                served ? fmt::format("{:>14}", "first token") : "");
  std::size_t still = 0;
  for (const Elasticity& i : e.elasticities) {
    if (i.input.kind == InputKind::workload) continue;
    const double first = i.first ? std::max(std::abs(i.first->effect), std::abs(i.first->elasticity)) : 0;
    if (std::max({std::abs(i.effect), std::abs(i.elasticity), first}) < kVisible) {
      ++still;
      continue;
    }
    out += fmt::format("  {:<38}{:>16}{:>12}{:>+12.3f}{}\n", fmt::format("+10 % {}", i.input.name), i.input.value,
                       percent(i.effect), i.elasticity, i.first ? fmt::format("{:>14}", percent(i.first->effect)) : "");
  }
  if (still > 0) out += fmt::format("  {} other inputs of the machine do not move it\n", still);
  out += fmt::format("\n  {:<38}{:>16}{:>12}{:>12}{}\n", "another question", "", served ? "a token" : "time", "tokens/s",
                     served ? fmt::format("{:>14}", "first token") : "");
  for (const Elasticity& i : e.elasticities) {
    if (i.input.kind != InputKind::workload) continue;
    for (const Neighbour& n : i.neighbours) {
      const bool whole = n.value == std::floor(n.value);
      const std::string there = whole ? format_count(std::llround(n.value)) : fmt::format("{:.4g}", n.value);
      out += fmt::format("  {:<38}{:>16}{:>12}{:>12}{}\n", fmt::format("{} {} -> {}", i.input.name, i.input.value, there), "",
                         percent(n.time_change), percent(n.throughput_change),
                         n.ttft_change ? fmt::format("{:>14}", percent(*n.ttft_change)) : "");
    }
  }
  return out;
}

// "HBM 61 %, launch 12 %"
std::string holders_text(const std::vector<Holder>& holders, std::size_t most) {
  std::vector<std::string> list;
  for (const Holder& h : holders) {
    if (list.size() < most && h.share > 0.005) list.push_back(fmt::format("{} {:.0f} %", h.bound_by.substr(0, h.bound_by.find(',')), 100 * h.share));
  }
  return fmt::format("{}", fmt::join(list, ", "));
}

std::string without_text(const Explanation& e) {
  std::string out = fmt::format("\n  {:<38}{:>16}{:>12}   {}\n", "if it took no time", "time left", "change", "held by then");
  for (const Free& f : e.without) {
    if (std::abs(f.change) < 10 * kVisible) continue;
    out += fmt::format(
        "  {:<38}{:>16}{:>12}   {}\n",
        f.kind == "group" ? f.name : fmt::format("{} ({})", f.name, f.kind == "tier" ? "infinitely fast" : "free"),
        format(f.time), percent(f.change), holders_text(f.held_by, 2));
  }
  return out;
}

std::string neighbours_text(const Explanation& e) {
  if (e.neighbours.empty()) return "";
  std::string out = fmt::format("\n  {:<38}{:>16}{:>12}\n", "layouts one step away", "memory", "time");
  for (const LayoutNeighbour& n : e.neighbours) {
    if (n.time_change) {
      out += fmt::format("  {:<38}{:>16}{:>12}\n", n.change, format(n.memory), percent(*n.time_change));
    } else {
      out += fmt::format("  {:<34}cannot run: {}\n", n.change, n.obstacle);
    }
  }
  return out;
}

std::string term_text(const Term& term) {
  const std::string name = std::string(term.name.substr(0, term.name.find(',')));
  if (term.unit == "seconds") return fmt::format("{} {}", name, format(term.value * second));
  if (term.unit == "bytes") return fmt::format("{} {}", name, format(term.value * byte));
  if (term.unit == "flops") return format(term.value * flop);
  return fmt::format("{} {:.6g}", name, term.value);
}

// The formula and those terms that are not zero, over as many lines as they take.
std::string terms_text(const std::string& formula, const std::vector<Term>& terms) {
  std::string out, line = fmt::format("      {}:", formula);
  for (const Term& term : terms) {
    if (term.value == 0) continue;
    const std::string text = term_text(term);
    if (line.size() + text.size() > 118) {
      out += line + "\n";
      line = "       ";
    }
    line += (line.find_first_not_of(' ') == std::string::npos || line.back() == ':' ? " " : " · ") + text;
  }
  return out + line + "\n";
}

std::string passes_text(const Explanation& e) {
  const std::vector<PassExplanation> passes = explained_passes(e.evaluation);
  if (passes.empty()) return "";
  std::string out = "\n  the passes of the wafer and what sets their time\n";
  for (const PassExplanation& pass : passes) {
    out += fmt::format("  {} of {}   {} x {:.0f} = {}   {}\n", pass.phase, pass.where, format(pass.time), pass.times,
                       format(pass.times * pass.time), pass.bound_by);
    out += terms_text(pass.formula, pass.terms);
  }
  return out;
}

std::string ops_text(const Explanation& e) {
  if (e.ops.empty()) return "";
  std::string out = "\n  the longest ops and what they are made of\n";
  for (const OpExplanation& op : e.ops) {
    out += fmt::format("  {}: {}, {} of {}   {} x {} = {}   {}, {}\n", op.group, op.name, op.phase, op.where,
                       format(op.cost.time), op.times < 1000 ? fmt::format("{:.4g}", op.times) : fmt::format("{:.0f}", op.times), format(op.total()), op.cost.bound_by, name(op.cost.source));
    out += terms_text(op.formula, op.terms);
  }
  return out;
}

}  // namespace

std::vector<std::string> best_changes(const std::vector<Elasticity>& elasticities,
                                      const std::vector<LayoutNeighbour>& neighbours) {
  struct Help {
    std::string what;
    double change;
  };
  std::vector<Help> list;
  for (const Elasticity& i : elasticities) {
    if (i.input.kind == InputKind::rate) list.push_back({fmt::format("+10 % {}", i.input.name), i.effect});
    if (i.input.kind == InputKind::latency) list.push_back({fmt::format("-10 % {}", i.input.name), -i.effect});
  }
  for (const LayoutNeighbour& n : neighbours) {
    if (n.time_change && n.pointer != "/routing/popularity") list.push_back({n.change, *n.time_change});
  }
  std::stable_sort(list.begin(), list.end(), [](const Help& a, const Help& b) { return a.change < b.change; });
  std::vector<std::string> best;
  for (const Help& help : list) {
    if (best.size() < 3 && help.change < -kVisible)
      best.push_back(fmt::format("{}: {:.1f} %", help.what, 100 * help.change));
  }
  return best;
}

namespace {

// How much of the step goes if every rank has equal rows.
std::string imbalance_text(const std::vector<LayoutNeighbour>& neighbours) {
  for (const LayoutNeighbour& n : neighbours) {
    if (n.change == "balanced routing" && n.time_change)
      return fmt::format("  imbalance   {:.1f} % of the step: time with this routing less balanced\n", -100 * *n.time_change);
  }
  return "";
}

}  // namespace

std::string explanation_text(const Explanation& e) {
  std::string out = headline(e.evaluation, e.scenario) + "\n";
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&e.evaluation.answer)) {
    const Bytes left = train->memory_available - train->memory.total();
    out += fmt::format("  step     {}   MFU {:.1f} %\n", format(train->step.value), 100 * train->mfu);
    out += fmt::format("  memory   {} left of {} ({:.0f} %){}\n", format(left),
                       format(train->memory_available), 100 * (left / train->memory_available),
                       train->wafer ? "" : fmt::format(", stage {} binds", train->memory_stage));
  } else if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&e.evaluation.answer)) {
    out += fmt::format("  token    {}   {:.4g} tok/s a user   the first after {}\n", format(serve->tpot.value), serve->tokens_per_second_per_user,
                       format(serve->ttft.value));
    out += fmt::format("  memory   room for {} requests, {:.4g} decode at a time; prompts take {:.0f} % of the time\n",
                       format_count(std::llround(serve->max_concurrency)), serve->decoding, 100 * serve->utilisation);
  } else {
    out += fmt::format("  layer    {} forward and backward\n", format(answer_time(e.evaluation)));
  }
  out += fmt::format("  held by  {}\n", holders_text(held_by(e.evaluation), 5));
  out += imbalance_text(e.neighbours);
  const std::vector<std::string> best = best_changes(e.elasticities, e.neighbours);
  out += fmt::format("  what would help   {}\n\n", best.empty() ? "no input alone" : fmt::format("{}", fmt::join(best, "   ")));
  return out + inputs_text(e) + without_text(e) + neighbours_text(e) + passes_text(e) + ops_text(e);
}

}  // namespace moeline
