#include "plan/training/stages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>

namespace moeline {
namespace {

StageContent empty_chunk(const ModelSpec& model) {
  StageContent chunk;
  chunk.layers_of_kind.assign(model.kinds.size(), 0);
  return chunk;
}

// The model as a row of items: E t t ... t m L.
std::string items_of(const ModelSpec& model, std::int64_t mtp_modules) {
  std::string items = "E";
  items.append(model.layers.size(), 't');
  items.append(static_cast<std::size_t>(mtp_modules), 'm');
  items += 'L';
  return items;
}

void put(StageContent& chunk, char item, const ModelSpec& model, std::size_t& layer) {
  if (item == 'E') chunk.embedding = true;
  if (item == 'L') chunk.head = true;
  if (item == 'm') ++chunk.mtp_modules;
  if (item == 't') ++chunk.layers_of_kind[static_cast<std::size_t>(model.layers[layer++])];
}

double weight(char item, const ModelSpec& model, const PartTimes& times, std::size_t& layer) {
  if (item == 'E') return times.embedding.in(second);
  if (item == 'L') return times.head.in(second);
  if (item == 'm') return times.mtp.in(second);
  return times.kind[static_cast<std::size_t>(model.layers[layer++])].in(second);
}

constexpr std::size_t kUsualRows = 36;  // chunks of most cuts

// Expands "(t*4|)*14" into flat text; nullopt when it is malformed or absurdly long.
class LayoutText {
 public:
  explicit LayoutText(const std::string& text) : text_(text) {}
  bool expand(std::string& out) { return sequence(out, 0) && at_ == text_.size(); }

 private:
  // No model comes near; repetitions of nothing and those thrown away by "*0" count too, so that reading always ends.
  static constexpr std::size_t kLongest = 100000, kMostWork = 10 * kLongest;

  bool sequence(std::string& out, int depth) {
    if (depth > 8) return false;
    while (at_ < text_.size() && text_[at_] != ')') {
      std::string unit;
      if (text_[at_] == '(') {
        ++at_;
        if (!sequence(unit, depth + 1) || at_ >= text_.size()) return false;
        ++at_;
      } else if (std::string_view("EtmL|").find(text_[at_]) != std::string_view::npos) {
        unit = text_[at_++];
      } else if (text_[at_] == ' ' || text_[at_] == ',') {
        ++at_;
        continue;
      } else {
        return false;
      }
      std::size_t times = 1;
      if (at_ < text_.size() && text_[at_] == '*') {
        ++at_;
        times = 0;
        if (at_ >= text_.size() || std::isdigit(static_cast<unsigned char>(text_[at_])) == 0) return false;
        while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0 && times < kLongest) {
          times = times * 10 + static_cast<std::size_t>(text_[at_++] - '0');
        }
      }
      work_ += times * std::max<std::size_t>(1, unit.size());
      if (work_ > kMostWork) return false;
      for (std::size_t i = 0; i < times; ++i) out += unit;
    }
    return true;
  }

  const std::string& text_;
  std::size_t at_ = 0, work_ = 0;
};

}  // namespace

EvenCuts::EvenCuts(const ModelSpec& model, std::int64_t mtp_modules, const PartTimes& times)
    : model_(&model), items_(items_of(model, mtp_modules)), prefix_(items_.size() + 1) {
  std::size_t layer = 0;
  for (std::size_t i = 0; i < items_.size(); ++i) prefix_[i + 1] = prefix_[i] + weight(items_[i], model, times, layer);
  best_.assign(places(), std::numeric_limits<double>::infinity());
  best_[0] = 0;
  cuts_.reserve(kUsualRows * places());
  cuts_.resize(places());
}

void EvenCuts::add_row() {
  const std::size_t n = items_.size(), c = cuts_.size() / places();
  cuts_.resize(cuts_.size() + places());
  std::swap(best_, before_);
  best_.resize(places());  // a row reads no place that the row before did not write
  const int* const earlier = row(c - 1);
  int* const cut = cuts_.data() + c * places();
  const double *const reach = prefix_.data(), *const before = before_.data();
  double* const best = best_.data();
  int at = static_cast<int>(n) - 1;
  for (int i = static_cast<int>(n), first = static_cast<int>(c) - 1; i > first; --i) {
    const int end = std::min(at, i - 1);
    const double until = reach[i];
    double least = std::numeric_limits<double>::infinity();
    for (int j = std::min(std::max(first, earlier[i]), end); j <= end; ++j) {
      const double length = until - reach[j], sum = before[j] + length * length;
      at = sum < least ? j : at;  // no branch: which comes next is anybody's guess
      least = std::min(least, sum);
    }
    best[i] = least;
    cut[i] = at;
  }
}

Chunks EvenCuts::chunks(std::int64_t count) {
  const std::size_t n = items_.size(), all = static_cast<std::size_t>(count);
  while (cuts_.size() <= all * places()) add_row();
  std::vector<std::size_t> ends(all + 1, n);
  for (std::size_t c = all; c > 0; --c) ends[c - 1] = static_cast<std::size_t>(row(c)[ends[c]]);
  Chunks result;
  result.reserve(all);
  std::size_t layer = 0;
  for (std::size_t c = 0; c < all; ++c) {
    StageContent& chunk = result.emplace_back(empty_chunk(*model_));
    for (std::size_t i = ends[c]; i < ends[c + 1]; ++i) put(chunk, items_[i], *model_, layer);
  }
  return result;
}

std::optional<Chunks> equal_chunks(const ModelSpec& model, std::int64_t mtp_modules, std::int64_t chunk_count) {
  const auto layers = static_cast<std::int64_t>(model.layers.size());
  const bool ends_count = layers % chunk_count != 0;  // embedding and loss take the place of a layer each
  const std::int64_t places = ends_count ? layers + 2 : layers;
  if (places % chunk_count != 0 || (ends_count && (places / chunk_count < 2 || mtp_modules > 0))) return std::nullopt;
  Chunks chunks;
  chunks.reserve(static_cast<std::size_t>(chunk_count));
  std::size_t layer = 0;
  for (std::int64_t c = 0; c < chunk_count; ++c) {
    StageContent chunk = empty_chunk(model);
    chunk.embedding = c == 0;
    chunk.head = c == chunk_count - 1;
    if (chunk.head) chunk.mtp_modules = static_cast<int>(mtp_modules);
    std::int64_t count = places / chunk_count;
    if (ends_count) count -= (chunk.embedding ? 1 : 0) + (chunk.head ? 1 : 0);
    for (std::int64_t i = 0; i < count; ++i) put(chunk, 't', model, layer);
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

std::variant<Chunks, Infeasible> parse_layout(const std::string& layout, const ModelSpec& model,
                                              std::int64_t mtp_modules, std::int64_t chunk_count) {
  std::string flat;
  const std::string advice = "write it as Megatron does, for example \"Et*3|(tt|)*29m|L\"";
  if (!LayoutText(layout).expand(flat)) return Infeasible{fmt::format("pipeline_layout \"{}\" cannot be read", layout), advice};
  std::string items;
  std::copy_if(flat.begin(), flat.end(), std::back_inserter(items), [](char c) { return c != '|'; });
  if (items != items_of(model, mtp_modules)) {
    return Infeasible{fmt::format("pipeline_layout holds {} layers and {} MTP modules; the model has {} and {}, in the order E t... m... L",
                                  std::count(items.begin(), items.end(), 't'), std::count(items.begin(), items.end(), 'm'),
                                  model.layers.size(), mtp_modules),
                      advice};
  }
  Chunks chunks{empty_chunk(model)};
  std::size_t layer = 0;
  for (const char c : flat) {
    if (c == '|') {
      chunks.push_back(empty_chunk(model));
    } else {
      put(chunks.back(), c, model, layer);
    }
  }
  if (static_cast<std::int64_t>(chunks.size()) != chunk_count) {
    return Infeasible{fmt::format("pipeline_layout has {} chunks, pp x vpp is {}", chunks.size(), chunk_count), advice};
  }
  return chunks;
}

StageContent whole_stage(const Chunks& chunks, const PipelineProblem& pipeline, std::int64_t stage) {
  const auto chunk = [&](std::int64_t own) -> const StageContent& {
    return chunks[static_cast<std::size_t>(pipeline.chunk_at(stage, own)) % chunks.size()];
  };
  StageContent whole = chunk(0);
  double again = whole.recomputed * static_cast<double>(whole.layers());  // layers
  for (std::int64_t own = 1; own < pipeline.chunks_per_stage; ++own) {
    for (std::size_t k = 0; k < whole.layers_of_kind.size(); ++k) whole.layers_of_kind[k] += chunk(own).layers_of_kind[k];
    whole.mtp_modules += chunk(own).mtp_modules;
    whole.embedding |= chunk(own).embedding;
    whole.head |= chunk(own).head;
    again += chunk(own).recomputed * static_cast<double>(chunk(own).layers());
  }
  if (whole.layers() > 0) whole.recomputed = again / static_cast<double>(whole.layers());
  return whole;
}

std::string layout_text(const Chunks& chunks) {
  std::string text;
  for (const StageContent& chunk : chunks) {
    if (&chunk != &chunks.front()) text += '|';
    if (chunk.embedding) text += 'E';
    for (const int layers : chunk.layers_of_kind) text.append(static_cast<std::size_t>(layers), 't');
    text.append(static_cast<std::size_t>(chunk.mtp_modules), 'm');
    if (chunk.head) text += 'L';
  }
  return text;
}

}  // namespace moeline
