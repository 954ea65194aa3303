# Writes a C++ file that carries JSON files as text, so that the binary answers from any directory.
#   cmake -DOUTPUT=... -DFUNCTION=... -DFILES="a.json;b.json" -P EmbedJson.cmake
set(body "#include \"spec/catalogue.hpp\"\n\nnamespace moeline {\nnamespace {\nconstexpr CatalogueEntry kEntries[] = {\n")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "^.*/([^/]+)\\.json$" "\\1" name ${file})
  file(READ ${file} text)
  string(APPEND body "    {\"${name}\", R\"moeline(${text})moeline\"},\n")
endforeach()
string(APPEND body "};\n}  // namespace\n\nstd::span<const CatalogueEntry> ${FUNCTION}() { return kEntries; }\n\n}  // namespace moeline\n")
file(WRITE ${OUTPUT} "${body}")
