#include "spec/catalogue.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spec/json.hpp"

namespace moeline {
namespace {

std::string canonical(std::string name) {
  for (char& c : name) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

bool is_path(const std::string& text) {
  return text.find('/') != std::string::npos || (text.size() > 5 && text.ends_with(".json"));
}

std::string stem(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  std::string file = slash == std::string::npos ? path : path.substr(slash + 1);
  if (file == "config.json" && slash != std::string::npos) return stem(path.substr(0, slash) + ".json");
  return file.ends_with(".json") ? file.substr(0, file.size() - 5) : file;
}

Document named(const std::string& text, std::span<const CatalogueEntry> entries, const std::string& where,
               std::string_view what) {
  if (is_path(text)) return {parse_json(read_file(text), text), text, stem(text)};
  const std::string name = canonical(text);
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : entries) {
    if (entry.name == name) return {parse_json(entry.text, name + ".json"), name + ".json", name};
    names.emplace_back(entry.name);
  }
  const std::string near = nearest(name, names);
  throw SpecError(where, near.empty() ? fmt::format("unknown {} \"{}\": give a path ending in .json, or a name from "
                                                    "`moeline list`",
                                                    what, text)
                                      : fmt::format("unknown {} \"{}\", did you mean \"{}\"?", what, text, near));
}

// A catalogue model cut to its first layers keeps the first entries of every list that has one entry a layer.
void shorten_layer_lists(Json& config, const Json& before, const Json& change) {
  const auto old_count = before.find("num_hidden_layers"), new_count = change.find("num_hidden_layers");
  if (old_count == before.end() || new_count == change.end()) return;
  if (!old_count->is_number_integer() || !new_count->is_number_integer()) return;
  const auto layers = new_count->get<std::int64_t>();
  for (const auto& item : config.items()) {
    Json& list = item.value();
    if (!list.is_array() || change.contains(item.key()) || list.size() != *old_count) continue;
    while (!list.empty() && static_cast<std::int64_t>(list.size()) > layers) list.erase(list.size() - 1);
  }
}

Document find(const Json& value, std::span<const CatalogueEntry> entries, const std::string& where,
              std::string_view what) {
  if (value.is_string()) return named(value.get<std::string>(), entries, where, what);
  if (!value.is_object()) throw SpecError(where, fmt::format("expected a {} name, a path or an object", what));
  const auto base = value.find("base");
  if (base == value.end()) {
    const auto name = value.find("name");
    const bool has_name = name != value.end() && name->is_string();
    return {value, where, has_name ? name->get<std::string>() : fmt::format("inline {}", what)};
  }
  if (!base->is_string()) throw SpecError(where + "/base", fmt::format("expected the name of a {}", what));
  Document document = named(base->get<std::string>(), entries, where + "/base", what);
  Json change = value;
  change.erase("base");
  const Json before = document.json;
  overlay(document.json, change);
  shorten_layer_lists(document.json, before, change);
  document.origin = where;
  document.name += " (changed)";
  return document;
}

bool is_fact(const Json& json) { return json.is_object() && json.contains("value") && json.contains("source"); }

}  // namespace

void overlay(Json& document, const Json& change) {
  if (is_fact(document) && !is_fact(change)) {
    const bool wrapped = change.is_object() && change.contains("value");  // {"value": ...} without a source
    document["value"] = wrapped ? change["value"] : change;
    document["source"] = "set by the user";
    document.erase("inferred");
  } else if (document.is_object() && change.is_object()) {
    for (const auto& item : change.items()) overlay(document[item.key()], item.value());
  } else if (document.is_array() && change.is_array() && document.size() == change.size()) {
    for (std::size_t i = 0; i < change.size(); ++i) overlay(document[i], change[i]);
  } else {
    document = change;
  }
}

Document find_model(const Json& value, const std::string& where) {
  return find(value, model_catalogue(), where, "model");
}
Document find_hardware(const Json& value, const std::string& where) {
  return find(value, hardware_catalogue(), where, "hardware");
}
Document find_calibration(const Json& value, const std::string& where) {
  return find(value, calibration_catalogue(), where, "calibration");
}

}  // namespace moeline
