# Do the folders keep their order? A file may include only what stands in its own folder or to the left of it:
#
#   units, error → spec → routing → memory → ops → cost → net → {gpu, wafer} → plan → fit → validate → engine → reports → cli, python
#
# validate/ uses units, spec, routing and fit alone.
# Also held: every header is in the list that tests/CMakeLists.txt compiles one by one, and model/ stays pure
# (no printing, clock, environment, threads).
#   cmake -DROOT=... -DHEADERS="model/units.hpp;..." -P include_order.cmake
cmake_minimum_required(VERSION 3.25)
set(order units spec routing memory ops cost net gpu wafer plan fit validate engine reports cli python)
set(measuring units spec routing fit validate)  # all that validate/ may include
set(siblings_gpu wafer)  # of equal rank: neither includes the other
set(siblings_wafer gpu)
set(impure "iostream|thread|chrono|mutex|atomic|future|ctime|unistd.h")

set(problems)

# The folder that `file`, relative to ROOT, counts as. What lies directly in model/ is `units`.
function(folder_of file result)
  if(file MATCHES "^model/([^/]+)/")
    set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
  elseif(file MATCHES "^model/")
    set(${result} units PARENT_SCOPE)
  else()
    string(REGEX REPLACE "/.*" "" top ${file})
    set(${result} ${top} PARENT_SCOPE)
  endif()
endfunction()

# Where an #include "..." leads, as the include paths of the build would find it; empty if nowhere.
function(resolve file include result)
  get_filename_component(here ${file} DIRECTORY)
  foreach(base ${here} model . reports engine)
    cmake_path(SET path NORMALIZE "${base}/${include}")
    if(EXISTS ${ROOT}/${path})
      set(${result} ${path} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

set(patterns)
foreach(top model validate engine reports cli python)
  list(APPEND patterns ${ROOT}/${top}/*.hpp ${ROOT}/${top}/*.cpp ${ROOT}/${top}/*.cu ${ROOT}/${top}/*.cuh)
endforeach()
file(GLOB_RECURSE files RELATIVE ${ROOT} ${patterns})
list(LENGTH files number_of_files)
if(number_of_files EQUAL 0)
  message(FATAL_ERROR "no sources under ${ROOT}")
endif()

foreach(file IN LISTS files)
  folder_of(${file} folder)
  list(FIND order ${folder} rank)
  if(rank EQUAL -1)
    list(APPEND problems "${file}: folder \"${folder}\" has no place in the order")
    continue()
  endif()
  file(STRINGS ${ROOT}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]+\"")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[^\"]*\"([^\"]*)\".*" "\\1" include "${line}")
    resolve(${file} ${include} target)
    if(target STREQUAL "")
      list(APPEND problems "${file}: includes \"${include}\", which is not there")
      continue()
    endif()
    folder_of(${target} target_folder)
    list(FIND order ${target_folder} target_rank)
    if(target_rank EQUAL -1 OR target_rank GREATER rank OR target_folder IN_LIST siblings_${folder}
       OR (folder STREQUAL "validate" AND NOT target_folder IN_LIST measuring))
      list(APPEND problems "${file}: includes \"${include}\", but ${target_folder} is not to the left of ${folder}")
    endif()
  endforeach()
  if(file MATCHES "^model/")
    file(STRINGS ${ROOT}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]+<(${impure})>|getenv|random_device|std::cout|std::cerr")
    foreach(line IN LISTS lines)
      list(APPEND problems "${file}: model/ prints nothing and asks nothing of its surroundings: ${line}")
    endforeach()
  endif()
  if(file MATCHES "^(model|reports|validate)/.*\\.hpp$" AND NOT file IN_LIST HEADERS)
    list(APPEND problems "${file}: add it to `headers` in tests/CMakeLists.txt, so that it is compiled on its own")
  endif()
endforeach()
foreach(header IN LISTS HEADERS)
  if(NOT EXISTS ${ROOT}/${header})
    list(APPEND problems "${header}: listed in tests/CMakeLists.txt, but not there")
  endif()
endforeach()

if(problems)
  list(LENGTH problems count)
  foreach(problem IN LISTS problems)
    message(NOTICE "${problem}")
  endforeach()
  message(FATAL_ERROR "${count} lines break the order")
endif()
message(STATUS "${number_of_files} files keep the order")
