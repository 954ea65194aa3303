#include "spec/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr std::size_t kLargestFile = 16u << 20;
constexpr int kDeepest = 64;
constexpr std::size_t kUsualKeys = 16;  // that an object is asked for
// In base units: picoseconds to yottaFLOP/s fit, and no product of a few of them leaves the range of a double.
constexpr double kSmallest = 1e-15, kLargest = 1e27;

// Levenshtein distance with transposition, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, previous(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = previous;
    previous = row;
  }
  return previous[b.size()];
}

std::string shown(const Json& json) {
  std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() > 40 ? text.substr(0, 37) + "..." : text;
}

// nlohmann's own messages carry a rule number and a function name; keep the position and the reason.
std::string parse_problem(const Json::parse_error& error, std::string_view text) {
  const std::size_t at = std::min<std::size_t>(error.byte, text.size());
  if (error.byte > text.size()) return fmt::format("the JSON ends too early, after {} bytes: is the file truncated?", text.size());
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  return fmt::format("not valid JSON at line {}, byte {}", line, at);
}

// Rejects duplicate keys (JSON keeps the last, the reader of the file saw the first) and absurd nesting.
class StrictEvents {
 public:
  explicit StrictEvents(const std::string& origin) : origin_(origin) {}
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    if (depth > kDeepest) throw SpecError(origin_, fmt::format("nested deeper than {} levels", kDeepest));
    if (event == Event::object_start) open_.emplace_back();
    if (event == Event::object_end) open_.pop_back();
    if (event == Event::key && !open_.back().insert(parsed.get<std::string>()).second) {
      throw SpecError(origin_, fmt::format("key \"{}\" appears twice in one object", parsed.get<std::string>()));
    }
    return true;
  }

 private:
  const std::string& origin_;
  std::vector<std::set<std::string>> open_;
};

std::string escaped(std::string_view key) {  // RFC 6901
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return out;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& origin) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) throw SpecError(origin, "the file is empty");
  if (text.size() > kLargestFile) {
    throw SpecError(origin, fmt::format("{} bytes are more than any scenario, profile or config needs (limit 16 MB)",
                                        text.size()));
  }
  // The lexer recurses per nesting level, so bound it before parsing.
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) throw SpecError(origin, fmt::format("nested deeper than {} levels", kDeepest));
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  try {
    return Json::parse(text, StrictEvents(origin));
  } catch (const Json::parse_error& error) {
    throw SpecError(origin, parse_problem(error, text));
  } catch (const Json::out_of_range&) {
    throw SpecError(origin, "a number in the JSON is out of range");
  }
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SpecError(path, "cannot be read: no such file, or no permission");
  std::string text;
  std::array<char, 1 << 16> block;
  do {
    file.read(block.data(), block.size());
    text.append(block.data(), static_cast<std::size_t>(file.gcount()));
    if (text.size() > kLargestFile) {
      throw SpecError(path, "larger than 16 MB, more than any scenario, profile or config needs");
    }
  } while (file);
  if (file.bad()) throw SpecError(path, "cannot be read: is it a directory?");
  return text;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > word.size() + best_distance || word.size() > 200) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  if (!near.empty()) return fmt::format(", did you mean \"{}\"?", near);
  if (candidates.empty()) return "";
  constexpr std::size_t kShown = 12;
  std::string list;
  for (std::size_t i = 0; i < std::min(kShown, candidates.size()); ++i) list += (i == 0 ? "" : ", ") + candidates[i];
  return fmt::format("; known are {}{}", list, candidates.size() > kShown ? ", ..." : "");
}

ObjectReader::ObjectReader(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {
  if (!json.is_object()) throw SpecError(where_, fmt::format("expected an object {{...}}, not {}", shown(json)));
  asked_.reserve(kUsualKeys);
}

bool ObjectReader::has(std::string_view key) const {
  const auto& members = json_->get_ref<const Json::object_t&>();
  return std::any_of(members.begin(), members.end(), [&](const auto& member) { return member.first == key && !member.second.is_null(); });
}

std::string ObjectReader::where(std::string_view key) const {
  return where_ + (where_.find('#') == std::string::npos ? "#/" : "/") + escaped(key);
}

void ObjectReader::fail(std::string_view key, const std::string& what) const { throw SpecError(where(key), what); }

const Json& ObjectReader::any(std::string_view key) {
  skip(key);
  const auto found = json_->find(key);
  if (found != json_->end()) return *found;
  // A slip of one letter in a required key: name the key that is there, not the one that is not.
  for (const auto& item : json_->items()) {
    const bool unasked = std::find(asked_.begin(), asked_.end(), item.key()) == asked_.end();
    if (unasked && item.key().size() <= 60 && edit_distance(key, item.key()) == 1) {
      fail(item.key(), fmt::format("unknown key, did you mean \"{}\"?", key));
    }
  }
  fail(key, "missing, this key is required");
}

void ObjectReader::skip(std::string_view key) { asked_.push_back(key); }
void ObjectReader::skip_all(std::initializer_list<std::string_view> keys) { asked_.insert(asked_.end(), keys); }

ObjectReader ObjectReader::object(std::string_view key) { return ObjectReader(any(key), where(key)); }

std::vector<ObjectReader> ObjectReader::objects(std::string_view key) {
  const Json& array = any(key);
  if (!array.is_array()) fail(key, fmt::format("expected an array of objects, not {}", shown(array)));
  std::vector<ObjectReader> readers;
  for (std::size_t i = 0; i < array.size(); ++i) readers.emplace_back(array[i], where(key) + "/" + std::to_string(i));
  return readers;
}

std::string ObjectReader::string(std::string_view key) {
  const Json& json = any(key);
  if (!json.is_string()) fail(key, fmt::format("expected a string, not {}", shown(json)));
  return json.get<std::string>();
}

std::string ObjectReader::one_of(std::string_view key, const std::vector<std::string>& names) {
  std::string name = string(key);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    fail(key, fmt::format("unknown value \"{}\"{}", name, did_you_mean(name, names)));
  }
  return name;
}

namespace {
std::int64_t checked_integer(const ObjectReader& reader, std::string_view key, const Json& json, IntegerRange range) {
  if (!json.is_number()) reader.fail(key, fmt::format("expected a whole number, not {}", shown(json)));
  if (json.is_number_float()) {
    const double value = json.get<double>();
    if (!std::isfinite(value) || value != std::floor(value) || std::abs(value) > 9e15) {
      reader.fail(key, fmt::format("expected a whole number, not {}", shown(json)));
    }
  }
  const bool too_large = json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t{1} << 62;
  const std::int64_t value = too_large ? std::numeric_limits<std::int64_t>::max() : json.get<std::int64_t>();
  if (value < range.low || value > range.high) {
    reader.fail(key, range.high >= kPositive.high
                         ? fmt::format("{} is out of range, expected at least {}", shown(json), range.low)
                         : fmt::format("{} is out of range, expected {} to {}", shown(json), range.low, range.high));
  }
  return value;
}
}  // namespace

std::int64_t ObjectReader::integer(std::string_view key, IntegerRange range) {
  return checked_integer(*this, key, any(key), range);
}

double ObjectReader::number(std::string_view key, double low, double high) {
  const Json& json = any(key);
  if (!json.is_number()) fail(key, fmt::format("expected a number, not {}", shown(json)));
  const double value = json.get<double>();
  if (!(value >= low && value <= high)) {
    fail(key, fmt::format("{} is out of range, expected {:g} to {:g}", shown(json), low, high));
  }
  return value;
}

bool ObjectReader::boolean(std::string_view key) {
  const Json& json = any(key);
  if (!json.is_boolean()) fail(key, fmt::format("expected true or false, not {}", shown(json)));
  return json.get<bool>();
}

std::vector<std::int64_t> ObjectReader::integers(std::string_view key, IntegerRange range) {
  const Json& json = any(key);
  if (!json.is_array()) fail(key, fmt::format("expected an array of whole numbers, not {}", shown(json)));
  std::vector<std::int64_t> values;
  for (const Json& element : json) values.push_back(checked_integer(*this, key, element, range));
  return values;
}

std::vector<std::string> ObjectReader::strings(std::string_view key) {
  const Json& json = any(key);
  if (!json.is_array()) fail(key, fmt::format("expected an array of strings, not {}", shown(json)));
  std::vector<std::string> values;
  for (const Json& element : json) {
    if (!element.is_string()) fail(key, fmt::format("expected an array of strings, found {}", shown(element)));
    values.push_back(element.get<std::string>());
  }
  return values;
}

std::string ObjectReader::string_or(std::string_view key, std::string fallback) {
  skip(key);
  return has(key) ? string(key) : fallback;
}
std::int64_t ObjectReader::integer_or(std::string_view key, IntegerRange range, std::int64_t fallback) {
  skip(key);
  return has(key) ? integer(key, range) : fallback;
}
double ObjectReader::number_or(std::string_view key, double low, double high, double fallback) {
  skip(key);
  return has(key) ? number(key, low, high) : fallback;
}
bool ObjectReader::boolean_or(std::string_view key, bool fallback) {
  skip(key);
  return has(key) ? boolean(key) : fallback;
}

double ObjectReader::quantity_in_base(std::string_view key, const Json& json, Dimension dimension) const {
  if (json.is_number()) {
    fail(key, fmt::format("{} has no unit, write it as a string with one of {}", shown(json), units_of(dimension)));
  }
  if (!json.is_string()) fail(key, fmt::format("expected a quantity such as \"4.8 TB/s\", not {}", shown(json)));
  const ParsedQuantity parsed = parse_quantity(json.get<std::string>());
  if (!parsed.problem.empty()) {
    fail(key, fmt::format("{}: {} (units here: {})", shown(json), parsed.problem, units_of(dimension)));
  }
  if (parsed.dimension != dimension) {
    fail(key, fmt::format("{} has the wrong kind of unit (units here: {})", shown(json), units_of(dimension)));
  }
  if (!(parsed.in_base > 0)) fail(key, fmt::format("{} must be greater than zero", shown(json)));
  if (parsed.in_base < kSmallest || parsed.in_base > kLargest) {
    fail(key, fmt::format("{} is out of range for any machine", shown(json)));
  }
  return parsed.in_base;
}

std::string ObjectReader::source() {
  if (!has("source")) fail("source", "missing: every fact names its source");
  const std::string text = string("source");
  if (text.empty()) fail("source", "empty: every fact names its source");
  return text;
}

Fact<std::int64_t> ObjectReader::integer_fact(std::string_view key, IntegerRange range) {
  ObjectReader reader = object(key);
  Fact<std::int64_t> fact{reader.integer("value", range), reader.source(), reader.boolean_or("inferred", false)};
  reader.finish();
  return fact;
}

Fact<double> ObjectReader::number_fact_or(std::string_view key, double low, double high, const Fact<double>& fallback) {
  if (!has(key)) return skip(key), fallback;
  if (any(key).is_number()) return {number(key, low, high), "set by the user"};
  ObjectReader reader = object(key);
  Fact<double> fact{reader.number("value", low, high), reader.source(), reader.boolean_or("inferred", false)};
  reader.finish();
  return fact;
}

Fact<std::string> ObjectReader::string_fact(std::string_view key) {
  ObjectReader reader = object(key);
  Fact<std::string> fact{reader.string("value"), reader.source(), reader.boolean_or("inferred", false)};
  reader.finish();
  return fact;
}

std::vector<std::string> ObjectReader::keys() const {
  std::vector<std::string> names;
  for (const auto& item : json_->items()) names.push_back(item.key());
  return names;
}

std::vector<std::string> ObjectReader::known() const {
  std::vector<std::string> keys;
  for (const std::string_view key : asked_) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.emplace_back(key);
  }
  return keys;
}

void ObjectReader::finish() {
  for (const auto& [name, value] : json_->get_ref<const Json::object_t&>()) {
    if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
    const std::vector<std::string> all = known();
    std::vector<std::string> candidates;  // keys that are absent first: of two equally near, they are likelier meant
    for (const std::string& key : all) {
      if (!json_->contains(key)) candidates.push_back(key);
    }
    candidates.insert(candidates.end(), all.begin(), all.end());
    const std::string near = nearest(name, candidates);
    throw UnknownKey(where(name.substr(0, 60)), near.empty()
                                                          ? "unknown key" + did_you_mean(name, all)
                                                          : fmt::format("unknown key, did you mean \"{}\"?", near));
  }
}

}  // namespace moeline
