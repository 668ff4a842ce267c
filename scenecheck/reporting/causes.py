"""Error codes of feeds in either language; the English advice is in `scenecheck.errors`."""

from __future__ import annotations

from typing import NamedTuple


class _Cause(NamedTuple):
    en: str
    id: str
    advice_id: str

    @property
    def words(self) -> dict[str, str]:
        return {"en": self.en, "id": self.id}


CAUSES = {
    "connect-refused": _Cause(
        "Connection refused",
        "Koneksi ditolak",
        "periksa port (RTSP 554 atau 8554, HTTP 80); apakah layanannya hidup?",
    ),
    "connect-timeout": _Cause(
        "Nobody answers",
        "Tidak ada jawaban",
        "periksa listrik, kabel, dan rute ke kamera; coba ping dari mesin ini",
    ),
    "no-route": _Cause(
        "No route to the device",
        "Tidak ada rute ke perangkat",
        "periksa jaringan dan VPN mesin ini; jaringan kamera tidak terjangkau dari sini",
    ),
    "host-unknown": _Cause(
        "Unknown host name",
        "Nama host tidak dikenal",
        "periksa ejaan nama host, atau pakai alamat IP",
    ),
    "connect-reset": _Cause(
        "Connection dropped",
        "Koneksi diputus",
        "perangkat memutus koneksi: periksa batas jumlah kliennya, lalu nyalakan ulang",
    ),
    "open-timeout": _Cause(
        "Accepts but does not answer",
        "Menerima tetapi tidak menjawab",
        "nyalakan ulang perangkat; periksa apakah port-nya benar",
    ),
    "server-busy": _Cause(
        "No free place at the recorder",
        "Perekam penuh",
        "tutup penonton lain atau naikkan batas jumlah klien perekam",
    ),
    "server-error": _Cause(
        "Device reports a fault",
        "Perangkat melaporkan gangguan",
        "nyalakan ulang perangkat dan baca log-nya",
    ),
    "auth-failed": _Cause(
        "Wrong user or password",
        "Nama pengguna atau kata sandi salah",
        "periksa nama pengguna dan kata sandi; sebagian kamera mengunci akun setelah gagal",
    ),
    "forbidden": _Cause(
        "Account may not watch",
        "Akun tidak boleh menonton",
        "akun dikenal tetapi tidak boleh menonton: beri hak melihat",
    ),
    "not-found": _Cause(
        "No such stream",
        "Aliran video tidak ditemukan",
        "periksa path pada alamat: lihat buku petunjuk kamera",
    ),
    "transport-refused": _Cause(
        "Transport refused",
        "Transpor ditolak",
        "perangkat menolak transpor ini: pakai --transport tcp (atau udp)",
    ),
    "tls-untrusted": _Cause(
        "Certificate not trusted",
        "Sertifikat tidak dipercaya",
        "berikan otoritas penanda tangan dengan --tls-ca FILE; --insecure mengabaikannya",
    ),
    "tls-failed": _Cause(
        "Port does not speak TLS",
        "Port tidak memakai TLS",
        "periksa port, atau pakai rtsp:// atau http://",
    ),
    "redirected": _Cause(
        "Sent to another host",
        "Dialihkan ke host lain",
        "bila itu benar, tulis alamat tujuan itu sebagai gantinya",
    ),
    "playlist-blocked": _Cause(
        "Playlist points elsewhere",
        "Daftar putar menunjuk ke tempat lain",
        "daftar putar menunjuk ke luar host-nya sendiri: periksa penerbitnya",
    ),
    "protocol-error": _Cause(
        "Other protocol",
        "Protokol lain",
        "port menjawab, tetapi bukan dengan protokol ini: periksa skema dan port",
    ),
    "first-frame-timeout": _Cause(
        "First picture did not come in time",
        "Gambar pertama tidak datang tepat waktu",
        "pendekkan jarak keyframe kamera (GOP) menjadi 1-2 detik, atau naikkan --deadline",
    ),
    "stream-stalled": _Cause(
        "Pictures stopped coming",
        "Gambar berhenti datang",
        "periksa lebar pita jaringan dan beban kamera",
    ),
    "stream-ended": _Cause(
        "Device closed the stream",
        "Perangkat menutup aliran video",
        "periksa batas jumlah klien dan log perangkat",
    ),
    "no-video": _Cause(
        "No video in the stream",
        "Tidak ada video",
        "aliran tidak berisi video: periksa path (hanya audio? kanal salah?)",
    ),
    "codec-damaged": _Cause(
        "Every picture came damaged",
        "Semua gambar rusak",
        "pakai --transport tcp; periksa kabel dan jaringan",
    ),
    "codec-unsupported": _Cause(
        "Unknown video format",
        "Format video tidak didukung",
        "atur kamera ke H.264, H.265, atau MJPEG",
    ),
    "deadline": _Cause(
        "No answer within the deadline",
        "Tidak ada jawaban dalam batas waktu",
        "naikkan --deadline, atau periksa jaringannya",
    ),
    "judging-failed": _Cause(
        "Judging it failed",
        "Penilaian gagal",
        "coba sendiri dengan `scenecheck check`; bila gagal juga, laporkan sebagai bug",
    ),
    "not-a-picture": _Cause(
        "Neither picture nor film",
        "Bukan gambar atau film",
        "tidak dapat didekode: periksa apa isinya",
    ),
    "not-a-film": _Cause(
        "No film",
        "Bukan film",
        "berkas bukan film yang dapat didekode: periksa apakah tersalin utuh",
    ),
    "empty": _Cause(
        "Nothing in it",
        "Kosong",
        "tidak ada isinya: periksa apakah tertulis atau tersalin utuh",
    ),
    "unreadable": _Cause("Cannot be read", "Tidak dapat dibaca", "periksa izin berkas dan disk"),
    "picture-damaged": _Cause("Damaged picture", "Gambar rusak", "gambar terpotong: ambil atau salin lagi"),
    "too-large": _Cause(
        "Picture too large",
        "Gambar terlalu besar",
        "lebih besar dari gambar kamera mana pun: kecilkan hingga 64 megapiksel",
    ),
    "too-small": _Cause("Picture too small", "Gambar terlalu kecil", "perlu paling sedikit 16x16 piksel"),
    "no-pictures": _Cause(
        "No pictures in the folder",
        "Tidak ada gambar di folder",
        "masukkan gambar .jpg, .png, .webp, .bmp, atau .tif ke folder itu",
    ),
    "no-secret": _Cause(
        "Password not set",
        "Kata sandi belum diisi",
        "isi variabel lingkungan, atau tulis kata sandi ke dalam berkas",
    ),
    "bad-address": _Cause(
        "Wrong address",
        "Alamat salah",
        "tulis sebagai scheme://host[:port]/path, kata sandi lewat --password-env",
    ),
    "unknown-scheme": _Cause(
        "Unknown kind of address",
        "Jenis alamat tidak dikenal",
        "pakai rtsp://, rtsps://, http://, https://, atau path berkas atau folder",
    ),
    "no-such-path": _Cause(
        "No such file",
        "Berkas tidak ada",
        "periksa ejaannya; alamat kamera dimulai dengan rtsp:// atau http://",
    ),
    "bad-option": _Cause("Wrong setting", "Pengaturan salah", "periksa isian kamera ini di inventaris"),
}  # fmt: skip
