package workspace

import (
	"encoding/json"
	"unicode/utf8"
)

// fileFields is File without its methods.
type fileFields File

// fileJSON is the JSON form of a File. A file name is a string of bytes and JSON
// strings are not: a path or link that is not UTF-8 stands a second time, as
// base64, in a field that holds it exactly.
type fileJSON struct {
	fileFields
	PathBytes []byte `json:"path_bytes,omitempty"`
	LinkBytes []byte `json:"link_bytes,omitempty"`
}

// MarshalJSON writes f such that UnmarshalJSON gives f back, whatever bytes its
// path holds.
func (f File) MarshalJSON() ([]byte, error) {
	out := fileJSON{fileFields: fileFields(f)}
	if !utf8.ValidString(f.Path) {
		out.PathBytes = []byte(f.Path)
	}
	if !utf8.ValidString(f.Link) {
		out.LinkBytes = []byte(f.Link)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *File) UnmarshalJSON(data []byte) error {
	var in fileJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*f = File(in.fileFields)
	if in.PathBytes != nil {
		f.Path = string(in.PathBytes)
	}
	if in.LinkBytes != nil {
		f.Link = string(in.LinkBytes)
	}
	return nil
}
