#include "engine/score_file.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "error.hpp"

namespace moeline {
namespace {

// The number after `key` in a header of numpy, which is a Python dictionary.
std::size_t number_after(std::string_view text, std::size_t& at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == ',' || text[at] == '(')) ++at;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (error != std::errc{}) return 0;
  at = static_cast<std::size_t>(end - text.data());
  return value;
}

ScoreFile read_npy(std::ifstream& in, const std::string& path) {
  unsigned char start[10];
  in.read(reinterpret_cast<char*>(start), sizeof start);
  const bool version1 = in && start[6] == 1;
  if (!version1) throw SpecError(path, "truncated, or not version 1 of .npy");
  std::string header(static_cast<std::size_t>(start[8] + 256 * start[9]), ' ');
  in.read(header.data(), static_cast<std::streamsize>(header.size()));
  if (!in) throw SpecError(path, "truncated: its header is cut off");
  if (header.find("'<f4'") == std::string::npos || header.find("'fortran_order': False") == std::string::npos)
    throw SpecError(path, "expected float32 in C order: numpy.save(path, numpy.ascontiguousarray(scores, 'f4'))");
  std::size_t at = header.find("'shape':");
  at = at == std::string::npos ? header.size() : at + 8;
  const std::size_t tokens = number_after(header, at), experts = number_after(header, at);
  if (tokens == 0 || experts == 0 || number_after(header, at) != 0)
    throw SpecError(path, "expected two dimensions, tokens by experts, neither empty");
  const std::uintmax_t bytes = std::filesystem::file_size(path) - sizeof start - header.size();
  if (experts > bytes / 4 / tokens || bytes != tokens * experts * 4)
    throw SpecError(path, fmt::format("holds {} bytes, {} x {} float32 take {}", bytes, tokens, experts,
                                      4.0 * static_cast<double>(tokens) * static_cast<double>(experts)));
  ScoreFile scores{std::vector<float>(tokens * experts), experts};
  in.read(reinterpret_cast<char*>(scores.values.data()), static_cast<std::streamsize>(bytes));
  if (!in) throw SpecError(path, "could not be read to its end");
  return scores;
}

void add_line(ScoreFile& scores, std::string_view line, const std::string& path, std::size_t number) {
  std::size_t columns = 0, at = 0;
  while (at <= line.size()) {
    const std::size_t comma = std::min(line.find(',', at), line.size());
    while (at < comma && line[at] == ' ') ++at;
    std::size_t last = comma;
    while (last > at && line[last - 1] == ' ') --last;
    float value = 0;
    const auto [end, error] = std::from_chars(line.data() + at, line.data() + last, value);
    if (error != std::errc{} || end != line.data() + last)
      throw SpecError(fmt::format("{}:{}:{}", path, number, at + 1),
                      fmt::format("\"{}\" is no number", line.substr(at, last - at)));
    scores.values.push_back(value);
    ++columns;
    at = comma + 1;
  }
  if (scores.experts == 0) scores.experts = columns;
  if (columns != scores.experts)
    throw SpecError(fmt::format("{}:{}", path, number),
                    fmt::format("{} scores, the lines before have {}", columns, scores.experts));
}

}  // namespace

ScoreFile read_scores(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path)) throw SpecError(path, "cannot be read");
  char magic[6] = {};
  in.read(magic, sizeof magic);
  const bool npy = in && std::string_view(magic, 6) == "\x93NUMPY";
  in.clear();
  in.seekg(0);
  ScoreFile scores;
  if (npy) {
    scores = read_npy(in, path);
  } else {
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty()) add_line(scores, line, path, number);
    }
  }
  if (scores.values.empty()) throw SpecError(path, "holds no scores");
  for (std::size_t i = 0; i < scores.values.size(); ++i) {
    if (!std::isfinite(scores.values[i]))
      throw SpecError(
          path, fmt::format("the score of token {}, expert {} is not finite", i / scores.experts, i % scores.experts));
  }
  return scores;
}

}  // namespace moeline
